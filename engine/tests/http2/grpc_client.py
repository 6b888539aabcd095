"""What gRPC's own client sees: messages, streams of them both ways, and the status that comes behind them."""

import queue
import sys

import grpc
from google.protobuf.wrappers_pb2 import StringValue, UInt32Value

SERVICE = "/lanner.example.Greeter/"
TIMEOUT = 30


def kinds(request, response):
    return {
        "request_serializer": request.SerializeToString,
        "response_deserializer": response.FromString,
    }


def main():
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(sys.argv[1], options=options) as channel:
        greet = channel.unary_unary(SERVICE + "Greet", **kinds(StringValue, StringValue))
        count = channel.unary_stream(SERVICE + "Count", **kinds(UInt32Value, UInt32Value))
        chat = channel.stream_stream(SERVICE + "Chat", **kinds(StringValue, StringValue))
        missing = channel.unary_unary(SERVICE + "Missing", **kinds(StringValue, StringValue))

        answer, call = greet.with_call(StringValue(value="Falco"), timeout=TIMEOUT)
        assert answer.value == "Hello, Falco!", answer
        assert call.code() == grpc.StatusCode.OK, call.code()

        # Many at once on one connection, with a name that takes many frames.
        names = [str(number) * 20_000 for number in range(60)]
        futures = [greet.future(StringValue(value=name), timeout=TIMEOUT) for name in names]
        for name, future in zip(names, futures, strict=True):
            assert future.result().value == f"Hello, {name}!"

        call = count(UInt32Value(value=5_000), timeout=TIMEOUT)
        assert [message.value for message in call] == list(range(1, 5_001))
        assert call.code() == grpc.StatusCode.OK, call.code()

        call = count(UInt32Value(), timeout=TIMEOUT)
        assert list(call) == [], "a stream of nothing is its status alone"
        assert call.code() == grpc.StatusCode.OK, call.code()

        # Each message is sent when the answer to the one before it has come: neither side waits for the other's end.
        heard, turns = [], queue.SimpleQueue()
        turns.put("begin")

        def talk():
            for number in range(200):
                turns.get(timeout=TIMEOUT)
                yield StringValue(value=f"word {number}")

        for message in chat(talk(), timeout=TIMEOUT):
            heard.append(message.value)
            turns.put("go on")
        assert heard == [f"word {number}" for number in range(200)], heard

        call = count(UInt32Value(value=2_000_000_000), timeout=TIMEOUT)
        assert next(call).value == 1
        call.cancel()

        try:
            missing(StringValue(value="x"), timeout=TIMEOUT)
            raise AssertionError("an unknown method was answered")
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
            assert error.details() == "no such method", error

        assert greet(StringValue(value="again"), timeout=TIMEOUT).value == "Hello, again!"
    print("all is well")


main()
