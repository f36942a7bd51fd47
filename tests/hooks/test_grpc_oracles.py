"""hooks and the libraries h2 and hpack, which keep strictly to the RFCs, read each other."""

import struct

import h2.config
import h2.connection
import h2.events
import hpack as oracle
from hypothesis import example, given, settings
from hypothesis import strategies as st

from binding.hooks import hpack
from binding.hooks.http2 import Connection

FIELDS = st.lists(
    st.tuples(
        st.sampled_from([b":path", b"content-type", b"x-a", b"x-bin"]) | st.binary(min_size=1),
        st.sampled_from([b"/", b"POST", b"a" * 300]) | st.binary(max_size=200),
    ),
    max_size=8,
)
CALL = [
    (":method", "POST"),
    (":scheme", "http"),
    (":authority", "localhost"),
    (":path", "/a.B/Echo"),
    ("content-type", "application/grpc"),
    ("te", "trailers"),
]


@given(st.lists(st.tuples(st.sampled_from([0, 32, 100, 4096]), st.booleans(), FIELDS), max_size=6))
@settings(deadline=None)
def test_header_blocks_of_a_connection_are_read_as_they_were_meant(blocks):
    encoder, decoder = oracle.Encoder(), hpack.Decoder()
    for size, huffman, fields in blocks:
        encoder.header_table_size = size
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == fields
        assert oracle.Decoder().decode(hpack.encode(fields), raw=True) == fields


@given(st.binary(max_size=60))
@settings(max_examples=1000, deadline=None)
def test_a_block_is_refused_where_the_oracle_refuses_it(block):
    try:
        wanted = oracle.Decoder().decode(block, raw=True)
    except oracle.HPACKError:
        wanted = None
    try:
        got = hpack.Decoder().decode(block)
    except hpack.HpackError:
        got = None
    assert got == wanted


def taken(client, server):
    """Carry octets to and fro until both are silent; answer each request; return the events."""
    events = []
    while (said := client.data_to_send()) or server.output:
        for request in server.receive(said):
            server.respond(request, request.message)
        answer = bytes(server.output)
        server.output.clear()
        for event in client.receive_data(answer):
            events.append(event)
            if isinstance(event, h2.events.DataReceived) and event.flow_controlled_length:
                client.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
    return events


WINDOWS = st.sampled_from([0, 1_000, 65_535, 2**20])
SETTINGS = st.fixed_dictionaries(
    {}, optional={1: st.sampled_from([0, 100, 4096, 9000]), 4: WINDOWS, 5: st.just(20_000)}
)


@given(
    st.lists(
        st.tuples(SETTINGS, st.sampled_from([0, 1, 5000, 90_000]), st.none() | st.integers(0, 255)),
        min_size=1,
        max_size=6,
    )
)
@example([({4: 1}, 300, None)])
@settings(deadline=None, max_examples=50)
def test_calls_of_a_client_that_changes_its_settings(calls):
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server, events, sent = Connection(), [], {}
    client.initiate_connection()
    for changed, size, padding in calls:
        stream = client.get_next_available_stream_id()
        client.send_headers(stream, CALL)
        client.update_settings(changed)
        sent[stream] = body = struct.pack(">BI", 0, size) + b"x" * size
        for at in range(0, len(body), 16_000):
            client.send_data(stream, body[at : at + 16_000], pad_length=padding)
            events += taken(client, server)
        client.end_stream(stream)
        events += taken(client, server)
    client.update_settings({4: 2**20})
    client.increment_flow_control_window(2**20)
    events += taken(client, server)
    got = dict.fromkeys(sent, b"")
    for event in events:
        if isinstance(event, h2.events.DataReceived):
            got[event.stream_id] += event.data
    assert got == sent
    ended = {event.stream_id for event in events if isinstance(event, h2.events.StreamEnded)}
    assert ended == set(sent)


def test_a_client_that_wants_a_smaller_table_is_told_that_none_is_used():
    client = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
    server = Connection()
    client.initiate_connection()
    client.update_settings({1: 0})
    client.send_headers(1, CALL)
    client.send_data(1, b"\0\0\0\0\0", end_stream=True)
    said = client.data_to_send()
    (request,) = server.receive(said)
    server.respond(request, b"")
    # RFC 7541 section 6.3: a table of no octets, before the first field of the first block.
    assert b"\0\0\0\x01\x20\0\x07:status" in server.output
    ended = [type(event) for event in client.receive_data(bytes(server.output))]
    assert h2.events.StreamEnded in ended
