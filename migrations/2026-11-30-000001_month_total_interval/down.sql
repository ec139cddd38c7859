ALTER TABLE todoku.month_total DROP mean_low, DROP mean_high, DROP mean_least, DROP mean_most;
