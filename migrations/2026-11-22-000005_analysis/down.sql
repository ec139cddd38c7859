DROP TABLE todoku.calibration;
DROP TABLE todoku.outcome;
DROP TABLE ops.analysed_day;
DROP TABLE todoku.reporter_bias;
