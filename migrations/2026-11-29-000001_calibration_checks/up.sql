-- Whether what a calibration learned still tells who is lost, by the outcomes of a quarter, month by month; written once.
CREATE TABLE todoku.calibration_check (
  vendor_id uuid NOT NULL,
  calibration_id uuid NOT NULL,
  -- The last day of the month.
  closed_on date NOT NULL,
  outcomes int NOT NULL CHECK (outcomes >= 0),
  lost int NOT NULL CHECK (lost BETWEEN 0 AND outcomes),
  -- 0-1; null of too few.
  auc double precision CHECK (auc BETWEEN 0 AND 1),
  -- Below the interval the calibration was judged by.
  is_below boolean NOT NULL,
  known_from timestamptz NOT NULL,
  PRIMARY KEY (vendor_id, calibration_id, closed_on),
  FOREIGN KEY (vendor_id, calibration_id) REFERENCES todoku.calibration (vendor_id, id));
