"""How are partitions divided, and does what a process is told arrive?"""

from __future__ import annotations

from services.common.platform.kafka_access import Access
from services.projector.part import Part, divided


def test_partitions_of_one_number_stay_together_and_those_that_are_done_are_left_out() -> None:
    begin = {("a", 0): 0, ("a", 1): 5, ("a", 2): 0, ("b", 0): 1, ("b", 1): 0, ("b", 2): 9}
    end = {("a", 0): 3, ("a", 1): 5, ("a", 2): 1, ("b", 0): 4, ("b", 2): 10}
    assert divided(begin, end, 3) == [[("a", 0, 0, 3), ("b", 0, 1, 4)], [("a", 2, 0, 1), ("b", 2, 9, 10)]]
    assert divided(begin, end, 1) == [[("a", 0, 0, 3), ("a", 2, 0, 1), ("b", 0, 1, 4), ("b", 2, 9, 10)]]
    assert divided(begin, begin, 2) == []


def test_what_is_written_is_read() -> None:
    guarded = Access(servers="k:1", protocol="SASL_SSL", user="parley-operator", password="geheim", ca_file="/ca.pem")
    for servers in ("k:1", guarded):
        part = Part(bootstrap_servers=servers, dsn="postgresql://u:\u00fc@h/d", tables=("a", "b"), places=(("t", 0, 1, 2),))
        assert part.written().endswith(b"\n")
        assert Part.read(part.written().decode()) == part
