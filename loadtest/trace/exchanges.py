"""What a load generator did, seen from outside: reads a trace of its system calls as `perf script` prints it, and tells how
long exchanges took from the write of a request to the read of its answer, how long connections rested between an answer and
the next request, and how many exchanges were under way on average. README.md beside it has the commands.

A request is taken for one write and an answer for one read: this is for small messages that are not pipelined.
"""

import re
import sys

EVENT = re.compile(r"\s*(\d+)\s+([\d.]+):\s+syscalls:sys_(enter|exit)_(\w+):\s+(.*)")
DESCRIPTOR = re.compile(r"fd: 0x([0-9a-f]+)")
# What is negative, an error, is printed as a large number.
RESULT_MAX = 1 << 31


class Exchanges:
    """Where each connection is, and what has been seen."""

    def __init__(self):
        self.sent, self.answered = {}, {}
        self.times, self.rests, self.events = [], [], []

    def write(self, connection, at):
        if connection in self.answered:
            self.rests.append(at - self.answered.pop(connection))
        self.sent[connection] = at

    def read(self, connection, at):
        if connection in self.sent:
            self.times.append(at - self.sent.pop(connection))
            self.answered[connection] = at


def watch(lines):
    exchanges, descriptors, moments = Exchanges(), {}, []
    for line in lines:
        event = EVENT.match(line)
        if not event:
            continue
        thread, at, edge, call, rest = event.groups()
        at = float(at)
        moments = [moments[0] if moments else at, at]
        if edge == "enter":
            descriptor = DESCRIPTOR.match(rest)
            descriptors[thread] = descriptor and descriptor[1]
            continue
        result = int(rest.split()[0], 0)
        if not 0 < result < RESULT_MAX:
            continue
        if call.startswith("epoll"):
            exchanges.events.append(result)
        elif call in ("write", "sendto"):
            exchanges.write(descriptors.get(thread), at)
        else:
            exchanges.read(descriptors.get(thread), at)
    return exchanges, moments


def spread(values):
    values = sorted(values)
    def quantile(share):
        return values[int(len(values) * share)] * 1e6
    return f"p50 {quantile(0.5):7.1f} us   p99 {quantile(0.99):7.1f} us"


def main():
    exchanges, moments = watch(sys.stdin)
    if not exchanges.times or not exchanges.rests:
        sys.exit("no exchange was seen: is the process a load generator, and its target not pipelined or encrypted?")
    span = moments[1] - moments[0]
    print(f"exchanges                       {len(exchanges.times) / span:9.0f} /s, of {span * 1e3:.0f} ms")
    print(f"request written to answer read  {spread(exchanges.times)}")
    print(f"answer read to next request     {spread(exchanges.rests)}")
    print(f"exchanges under way             {sum(exchanges.times) / span:9.1f}")
    print(f"connections that rest           {sum(exchanges.rests) / span:9.1f}")
    if exchanges.events:
        print(f"events of one epoll_wait        {sum(exchanges.events) / len(exchanges.events):9.1f}")


main()
