ALTER TABLE todoku.month_total DROP mean_least, DROP mean_most;
