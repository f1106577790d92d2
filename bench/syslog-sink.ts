import type { Processes } from './processes.ts';

/*
 * Perl is on every Debian machine, and a loop of it reads a datagram for the price of the system call: less than Node
 * would take from the core that makes the load.
 */
const program = `
use strict; use warnings; use Socket;
socket(my $sink, PF_INET, SOCK_DGRAM, 0) or die $!;
setsockopt($sink, SOL_SOCKET, SO_RCVBUF, pack('l', 4 << 20)) or die $!;
bind($sink, pack_sockaddr_in($ARGV[0], INADDR_LOOPBACK)) or die $!;
my $message;
1 while defined(recv($sink, $message, 65536, 0)) || $!{EINTR};
`;

/** Starts what takes HAProxy's log: UDP on `port` of the loopback. */
export function startSyslogSink(processes: Processes, port: number, core: number): void {
  processes.start('syslog-sink', ['perl', '-e', program, String(port)], { core });
}
