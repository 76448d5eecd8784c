#!/bin/sh
# Before an executor's pod is stopped (Spark sets this as the container's preStop hook): the executor
# moves its shuffle and cached blocks to others and ends; the container is stopped only then.
pid=$(pgrep -o -f org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend -x java || pgrep -o -x java) || exit 0
kill -s PWR "$pid"
timeout 60 tail --pid="$pid" -f /dev/null
