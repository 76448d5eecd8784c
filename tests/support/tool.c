/* A program that needs nothing of its image: what commands of tasks do, by a word each. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void farewell(int number) {
    const char said[] = "farewell\n";
    (void)!write(2, said, sizeof said - 1);
    _exit(number == SIGTERM ? 3 : 4);
}

static int copy(void) {
    static char block[1 << 16];
    for (size_t size; (size = fread(block, 1, sizeof block, stdin)) > 0;)
        fwrite(block, 1, size, stdout);
    return fflush(stdout);
}

int main(int count, char **words) {
    const char *what = count > 1 ? words[1] : "", *given = count > 2 ? words[2] : "";
    if (!strcmp(what, "copy")) return copy();
    if (!strcmp(what, "exit")) return atoi(given);
    if (!strcmp(what, "leave")) { /* a file with a variable and the user */
        FILE *made = fopen(given, "w");
        const char *tool = getenv("TOOL"), *others = getenv("KUBERNETES_PORT");
        fprintf(made, "%s %s %d", tool ? tool : "", others ? "all" : "ours", (int)getuid());
        return fclose(made);
    }
    if (!strcmp(what, "eat"))
        for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    if (!strcmp(what, "flood"))
        for (;;) puts("more and more and more and more and more and more and more and more");
    if (!strcmp(what, "wait")) {
        signal(SIGTERM, farewell);
        fputs("here\n", stderr);
        for (;;) pause();
    }
    return 64;
}
