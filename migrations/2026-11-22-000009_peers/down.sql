DROP TABLE ops.compared_month;
DROP TABLE todoku.peer_standing;
