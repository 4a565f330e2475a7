"""Results per building as a table to look at, and as CSV."""

import io

import numpy as np
import pandas as pd
from helpers.buildings import results

from accord.benchmark.boards.buildings import MOST_ROWS, csv, headings, markdown, notes, opening, rows


def test_a_row_per_building_and_one_of_the_district() -> None:
    found = results(3)
    assert headings(found) == [
        *("building", "bill ($)", "bill change (%)", "delay (h)", "delay change (h)", "import (kWh)"),
        *("import change (%)", "peak (kWh)", "peak change (%)", "waits (kWh)"),
    ]
    table = rows(found)
    assert [row[0] for row in table] == ["home 1", "home 2", "home 3", "district"]
    assert table[0] == ["home 1", *("150.0", "+50.0") * 4, "1.000"]
    assert table[1][1:3] == ["100.0", "0.0"]
    assert table[2][1:3] == ["50.0", "-50.0"]


def test_a_delay_is_its_own_change_where_todays_rule_delays_nothing() -> None:
    found = results(3)
    found.table["delay_today"] = 0.0
    assert "delay change (h)" not in headings(found)
    assert "serve_now delays nothing" in opening(found)[-1]


def test_many_buildings_are_bounded_to_look_at_and_whole_in_csv() -> None:
    found = results(1_000)
    table = rows(found)
    assert len(table) == MOST_ROWS + 1
    assert [table[0][0], table[19][0], table[20][0], table[-2][0]] == ["home 1", "home 20", "home 981", "home 1000"]
    assert notes(found)[0] == "960 of 1,000 buildings between these are left out; all: --format csv."
    assert "left out" not in " ".join(notes(results(MOST_ROWS)))
    assert len(pd.read_csv(io.StringIO(csv(found)))) == 1_001


def test_csv_has_units_in_its_names_and_todays_numbers() -> None:
    read = pd.read_csv(io.StringIO(csv(results(2))))
    assert list(read.columns) == [
        *("building", "bill_usd", "bill_today_usd", "bill_change_percent"),
        *("delay_h", "delay_today_h", "delay_change_h"),
        *("import_kwh", "import_today_kwh", "import_change_percent"),
        *("peak_kwh", "peak_today_kwh", "peak_change_percent", "waiting_kwh"),
    ]
    assert read["building"].tolist() == ["home 1", "home 2", "district"]
    assert read["bill_usd"].tolist() == [150.0, 50.0, 150.0]


def test_what_was_not_measured_has_no_column_and_a_word_why() -> None:
    found = results(3, bill=False, peaks=False)
    assert not [heading for heading in headings(found) if heading.startswith(("bill", "peak"))]
    said = " ".join(notes(found))
    assert "No bill: this district has no tariff" in said
    assert "The district's peak: 150 kWh (+50.0 %); those of buildings are not known, since hours are kept up" in said
    assert "whose import rises most" in " ".join(opening(found))
    assert "bill" not in csv(found)


def test_a_share_of_nothing_is_blank_and_explained() -> None:
    found = results(3)
    found.table.loc[0, "bill_change"] = np.nan
    assert rows(found)[0][2] == "–"
    assert "–: today's number is near 0" in notes(found)[-1]
    assert "| home 1   | 150.0    |     – " in markdown(found)
