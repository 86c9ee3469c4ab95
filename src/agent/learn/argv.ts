/** What tells two programs of one interpreter apart: the hash that bpf/argv.bpf.h computes, from /proc/PID/cmdline. */
const ARGV_BYTES = 128;

export function argvHash(cmdline: Uint8Array): bigint {
  const padded = Buffer.alloc(ARGV_BYTES);
  padded.set(cmdline.subarray(0, ARGV_BYTES));
  let hash = 0xcbf29ce484222325n;
  for (let at = 0; at < ARGV_BYTES; at += 8) {
    hash = BigInt.asUintN(64, (hash ^ padded.readBigUInt64LE(at)) * 0x100000001b3n);
  }
  return hash;
}

/** The arguments behind the first, as far as they are hashed, for people: a pod chose them, so nothing steers a terminal. */
export function argvText(cmdline: Uint8Array): string {
  const text = Buffer.from(cmdline.subarray(0, ARGV_BYTES)).toString('utf8').replace(/\0+$/, '');
  const shown = text.split('\0').slice(1).join(' ').replace(/\p{C}/gu, '?');
  return cmdline.length > ARGV_BYTES ? `${shown}…` : shown;
}
