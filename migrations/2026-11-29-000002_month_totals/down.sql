DROP TABLE todoku.month_total;
