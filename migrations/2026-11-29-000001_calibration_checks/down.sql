DROP TABLE todoku.calibration_check;
