DROP TABLE todoku.list_close;
