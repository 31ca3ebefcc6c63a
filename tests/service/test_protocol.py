"""Heads of requests: those that are too long, too slow or no HTTP are refused in our own form, and nobody else waits for them."""

import json
import socket
import time

import httpx
import pytest

from worldloom.service import protocol

START = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def line(address):
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def refusal(line):
    """(status, detail) of what a connection answers before it is closed."""
    said = b""
    while piece := line.recv(65536):
        said += piece
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head and b"connection: close" in head
    told = json.loads(body)
    assert "Expected" in told["detail"] and int(head.split()[1]) == told["status"]
    return told["status"], told["detail"]


def test_a_head_that_never_ends_is_refused_before_it_is_large(line):
    line.sendall(START + b"X: ")
    sent = 0
    try:
        while sent < 64 << 20:
            sent += line.send(b"a" * 65536)
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 16 << 20  # what the system's buffers take


def test_a_head_that_is_too_long_says_so(line):
    line.sendall(START + b"X: " + b"a" * 70_000)
    status, detail = refusal(line)
    assert status == 431 and "65536 bytes" in detail


def test_many_headers_below_the_limit_are_answered(http):
    assert http.get("/healthz", headers={f"x-{k}": "a" * 100 for k in range(300)}).status_code == 200


@pytest.mark.parametrize("beginning", [b"", b"GET /healthz HT", START])
def test_a_head_that_does_not_arrive_in_time_is_given_up(monkeypatch, address, beginning):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    host, _, port = address.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        line.sendall(beginning)
        began = time.monotonic()
        assert refusal(line)[0] == 408 and time.monotonic() - began < 5


def test_a_request_that_takes_longer_than_a_head_may_is_not_given_up(monkeypatch, http):
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.05)
    order = {"world": "creatures", "population": 500, "seed": 1}
    assert http.post("/api/genetics/generate", json=order).status_code == 200
    time.sleep(0.2)  # the connection idles for longer than a head may take
    assert http.get("/healthz").status_code == 200


@pytest.mark.parametrize("words", [b"hello\r\n\r\n", b"FOO / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_what_is_no_http_is_refused_in_the_form_of_all_refusals(line, words):
    line.sendall(words)
    assert refusal(line)[0] == 400


def test_others_are_answered_while_heads_are_open(address, http):
    host, _, port = address.removeprefix("http://").partition(":")
    lines = [socket.create_connection((host, int(port))) for _ in range(50)]
    try:
        for line in lines:
            line.sendall(START + b"X: " + b"a" * 10_000)
        assert all(httpx.get(f"{address}/healthz").status_code == 200 for _ in range(5))
    finally:
        for line in lines:
            line.close()
