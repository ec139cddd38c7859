DROP TABLE todoku.quality_flag;
