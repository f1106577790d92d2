"""Connections of python3-h2 that repeat the conversations of others, and tell what they make of them.

Each message on stdin and stdout is JSON behind its length, 4 bytes. A request is a list of conversations.
"""
import json
import struct
import sys

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError, StreamClosedError
from h2.settings import SettingCodes, Settings

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS = (
    events.RequestReceived,
    events.ResponseReceived,
    events.InformationalResponseReceived,
    events.TrailersReceived,
)


def connect(conversation):
    is_server = conversation["isServer"]
    connection = H2Connection(
        H2Configuration(
            client_side=not is_server,
            header_encoding=None,
            # What a response means is up to the user of a session.
            validate_inbound_headers=is_server,
            normalize_inbound_headers=False,
            normalize_outbound_headers=False,
        )
    )
    settings = {
        SettingCodes.INITIAL_WINDOW_SIZE: conversation["streamWindowBytes"],
        SettingCodes.MAX_CONCURRENT_STREAMS: conversation["streamsMax"],
        SettingCodes.MAX_HEADER_LIST_SIZE: 1 << 30,
    }
    if not is_server:
        settings[SettingCodes.ENABLE_PUSH] = 0
    connection.local_settings = Settings(client=not is_server, initial_values=settings)
    connection.decoder.max_header_list_size = 1 << 30
    # Only the conversation opens windows.
    connection._inbound_flow_control_window_manager.process_bytes = lambda size: None
    connection.initiate_connection()
    if is_server:
        connection.receive_data(PREFACE)
    connection.clear_outbound_data_buffer()
    return connection


def shown(event):
    if isinstance(event, HEADERS):
        fields = [[name.decode("latin1"), value.decode("latin1")] for name, value in event.headers]
        return ["headers", event.stream_id, fields]
    if isinstance(event, events.DataReceived):
        return ["data", event.stream_id, event.data.decode("latin1")]
    if isinstance(event, events.StreamEnded):
        return ["end", event.stream_id]
    if isinstance(event, events.StreamReset) and event.remote_reset:
        return ["reset", event.stream_id, int(event.error_code)]
    if isinstance(event, events.PingReceived):
        return ["ping", event.ping_data.decode("latin1")]
    if isinstance(event, events.PingAckReceived):
        return ["ping ack"]
    if isinstance(event, events.RemoteSettingsChanged):
        return ["settings"]
    return None


def resets(data):
    """The streams whose RST_STREAM frames are in the data."""
    found = []
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 3], "big")
        if data[at + 3] == 3:
            found.append(int.from_bytes(data[at + 5 : at + 9], "big"))
        at += 9 + length
    return found


def send(connection, kind, stream, *what):
    if kind == "headers":
        fields = [(name.encode("latin1"), value.encode("latin1")) for name, value in what[0]]
        connection.send_headers(stream, fields, end_stream=what[1])
    elif kind == "data":
        connection.send_data(stream, what[0].encode("latin1"), end_stream=what[1])
    elif kind == "window":
        connection.increment_flow_control_window(what[0], stream or None)
    elif kind == "reset":
        try:
            connection.reset_stream(stream, what[0])
        except StreamClosedError:
            # It has reset that itself.
            pass


def converse(conversation):
    connection = connect(conversation)
    heard = []
    for step in conversation["steps"]:
        answer = {"events": [], "resets": [], "error": None}
        heard.append(answer)
        try:
            if isinstance(step, str):
                got = connection.receive_data(bytes.fromhex(step))
                answer["events"] = [line for line in map(shown, got) if line is not None]
                answer["resets"] = resets(connection.data_to_send())
            else:
                send(connection, *step)
                connection.clear_outbound_data_buffer()
        except ProtocolError as error:
            answer["error"] = f"{type(error).__name__}: {error}"
            return {"heard": heard, "windows": None}
        except Exception as error:
            answer["error"] = f"crash: {type(error).__name__}: {error}"
            return {"heard": heard, "windows": None}
    windows = {"0": connection.outbound_flow_control_window}
    for number, stream in connection.streams.items():
        if not stream.closed:
            windows[str(number)] = stream.outbound_flow_control_window
    return {"heard": heard, "windows": windows}


while True:
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        break
    conversations = json.loads(sys.stdin.buffer.read(struct.unpack(">I", head)[0]))
    answers = json.dumps([converse(one) for one in conversations]).encode()
    sys.stdout.buffer.write(struct.pack(">I", len(answers)) + answers)
    sys.stdout.buffer.flush()
