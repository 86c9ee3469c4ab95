/**
 * What tells two programs of one interpreter apart: the hash that bpf/argv.bpf.h computes, from /proc/PID/cmdline.
 */
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
