DROP TABLE todoku.snapshot;
