import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Which of these local processes holds the end of a TCP connection over IPv4 with the local port `port` and the remote
 * port `peerPort`. Null if none does, for example because nobody has accepted it yet.
 */
export function socketOwner(pids: readonly number[], port: number, peerPort: number): number | null {
  const inode = inodeOf(port, peerPort);
  if (inode === null) return null;
  return pids.find((pid) => descriptorsOf(pid).includes(`socket:[${inode}]`)) ?? null;
}

function inodeOf(port: number, peerPort: number): string | null {
  for (const line of readFileSync('/proc/net/tcp', 'utf8').split('\n')) {
    const [, local, remote, , , , , , , inode = '0'] = line.trim().split(/\s+/);
    if (inode !== '0' && portOf(local) === port && portOf(remote) === peerPort) return inode;
  }
  return null;
}

function portOf(address: string | undefined): number {
  return Number.parseInt(address?.split(':')[1] ?? '', 16);
}

function descriptorsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`);
      } catch {
        // Closed meanwhile.
        return '';
      }
    });
  } catch {
    // The process has ended.
    return [];
  }
}
