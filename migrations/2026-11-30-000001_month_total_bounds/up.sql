-- The bounds of a month's mean, in thousandths; months told before have none.
ALTER TABLE todoku.month_total ADD mean_least int, ADD mean_most int;
