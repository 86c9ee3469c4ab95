/** System call numbers of the architectures podwire runs on (the kernel's unistd tables). */

export interface SyscallNumbers {
  readonly splice: number;
  /** read, readv, recvfrom, recvmsg, recvmmsg */
  readonly reads: readonly [number, number, number, number, number];
}

const NUMBERS: Readonly<Record<string, SyscallNumbers>> = {
  x64: { splice: 275, reads: [0, 19, 45, 47, 299] },
  arm64: { splice: 76, reads: [63, 65, 207, 212, 243] },
};

export function syscallNumbers(architecture: string): SyscallNumbers {
  const numbers = NUMBERS[architecture];
  if (numbers === undefined) throw new Error(`no system call numbers for ${architecture}`);
  return numbers;
}
