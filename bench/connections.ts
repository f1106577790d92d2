import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Of /proc/net/tcp. */
const established = '01';

/** How many of the open connections to a port of 127.0.0.1 each of the processes has. */
export function connectionsOf(pids: readonly number[], port: number): readonly number[] {
  const local = address(port);
  const inodes = new Set(
    lines()
      .filter((fields) => fields[1] === local && fields[3] === established)
      .map(inodeOf),
  );
  return pids.map((pid) => socketInodes(pid).filter((inode) => inodes.has(inode)).length);
}

/** Which of the processes has the connection between these ports of 127.0.0.1; null where none has. */
export function ownerOf(localPort: number, remotePort: number, pids: readonly number[]): number | null {
  const line = lines().find((fields) => fields[1] === address(localPort) && fields[2] === address(remotePort));
  if (line === undefined) return null;
  return pids.find((pid) => socketInodes(pid).includes(inodeOf(line))) ?? null;
}

function lines(): string[][] {
  return readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
}

function inodeOf(fields: readonly string[]): string {
  return fields[9] ?? '';
}

function address(port: number): string {
  return `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** The sockets that a process has open. */
function socketInodes(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1];
      return inode === undefined ? [] : [inode];
    } catch {
      // It has been closed meanwhile.
      return [];
    }
  });
}
