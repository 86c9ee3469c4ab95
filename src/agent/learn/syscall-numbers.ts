/** System call numbers of the architectures podwire runs on (the kernel's unistd tables). */
import type { BpfObject } from '../../kernel/binding.ts';
import { u32 } from '../../kernel/typed-map.ts';

const X64 = {
  read: 0,
  readv: 19,
  recvfrom: 45,
  recvmsg: 47,
  recvmmsg: 299,
  splice: 275,
  tee: 276,
  vmsplice: 278,
  io_uring_setup: 425,
} as const;

export type SyscallName = keyof typeof X64;
export type SyscallNumbers = Readonly<Record<SyscallName, number>>;

const ARM64: SyscallNumbers = {
  read: 63,
  readv: 65,
  recvfrom: 207,
  recvmsg: 212,
  recvmmsg: 243,
  splice: 76,
  tee: 77,
  vmsplice: 75,
  io_uring_setup: 425,
};

export function syscallNumbers(architecture: string): SyscallNumbers {
  if (architecture === 'x64') return X64;
  if (architecture === 'arm64') return ARM64;
  throw new Error(`podwire knows no system call numbers of ${architecture}`);
}

/** Sets the object's variables NAME_number; before load(). */
export function setSyscallNumbers(object: BpfObject, names: readonly SyscallName[]): void {
  const numbers = syscallNumbers(process.arch);
  for (const name of names) object.setRodata(`${name}_number`, u32.encode(numbers[name]));
}
