-- Cases of the guard rule small_files: what it finds in the statement below, or nothing.
-- limits: small_files=2
-- finds: 3 files of default.days are opened
SELECT n FROM days;
-- nothing
SELECT n FROM days WHERE day <> DATE '2026-01-02';
-- nothing
SELECT x FROM wide;
