"""The names of the publishers' files in the folder of real data sets."""

from __future__ import annotations

PUBLISHED = {
    "amazon": "amazon_employee_access_train.csv.gz",
    "covertype": "covtype.data.gz",
    "kc-housing": "kc_house_data.csv.gz",
}
