/** Objects, programs and links of the addon: adjusting before load, the verifier's log, attachments, iterators. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type NativeError, loadBinding } from '../../src/kernel/binding.ts';
import { u32, u64 } from '../../src/kernel/typed-map.ts';
import { makeCgroup, removeCgroup, skipReason, uniqueName } from '../support/node.ts';
import {
  compileFixture,
  loadFixture,
  makeNetns,
  makePinFolder,
  refusal,
  u32Keys,
  u64Values,
} from './native-fixture.ts';

const skip = skipReason();
const LOOPBACK = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1);

test('the verifier says why it rejects a program', { skip }, (context) => {
  const binding = loadBinding();
  const object = binding.openObject(compileFixture(context, 'native-rejected'));
  assert.throws(
    () => object.load(),
    (error: NativeError) => {
      assert.match(error.message, /^bpf_object__load native-rejected\.bpf\.o: .+ \(EACCES\)$/);
      assert.match(error.log, /BEGIN PROG LOAD LOG/);
      assert.match(error.log, /invalid mem access 'map_value_or_null'/);
      return refusal({ code: 'EACCES', errno: 13, syscall: 'bpf_object__load' })(error);
    },
  );
  object.close();
  assert.throws(
    () => binding.openObject('/nowhere.bpf.o'),
    (error: NativeError) => {
      assert.match(error.log, /nowhere\.bpf\.o/);
      return refusal({ code: 'ENOENT', syscall: 'bpf_object__open_file' })(error);
    },
  );
  assert.throws(
    () => binding.openObject('/etc/passwd'),
    (error: NativeError) => {
      assert.match(error.code, /^LIBBPF_ERRNO__/);
      return error.errno >= 4000;
    },
  );
});

test('names, .rodata, sizes, autoload: before load only', { skip }, (context) => {
  const binding = loadBinding();
  const object = binding.openObject(compileFixture(context, 'native'));
  context.after(() => object.close());
  assert.ok(object.mapNames().includes('sums'));
  assert.ok(object.programNames().includes('read_tables'));
  assert.throws(() => object.map('sums').fd, refusal({ code: 'EBADF' }));
  object.setRodata('verdict', u32.encode(42));
  object.setMaxEntries('sums', 99);
  object.setAutoload('traced', false);
  assert.throws(() => object.setRodata('verdict', new Uint8Array(8)), RangeError);
  assert.throws(() => object.setRodata('nothing', u32.encode(1)), refusal({ code: 'ENOENT' }));
  object.load();
  assert.equal(object.map('sums').info().maxEntries, 99);
  assert.throws(() => object.program('traced').fd, refusal({ code: 'EBADF' }));
  assert.throws(() => object.setRodata('verdict', u32.encode(1)), refusal({ code: 'EBUSY' }));
  assert.throws(() => object.setMaxEntries('sums', 1), refusal({ code: 'EBUSY' }));
  assert.throws(() => object.map('nothing'), refusal({ code: 'ENOENT' }));
  assert.throws(() => object.program('nothing'), refusal({ code: 'ENOENT' }));
  assert.throws(
    () => object.map('scratch').dump(),
    refusal({ code: 'EOPNOTSUPP' }),
    'per-CPU maps are refused',
  );
  const run = object.program('emit_quiet').testRun({ data: new Uint8Array(60), repeat: 3 });
  assert.equal(run.retval, 42);
  assert.equal(run.dataOut.length, 60);
});

test('a program says what it is', { skip }, (context) => {
  const binding = loadBinding();
  const program = loadFixture(context, binding).program('emit_quiet');
  const info = program.info();
  assert.equal(program.name, 'emit_quiet');
  assert.equal(info.name, 'emit_quiet');
  assert.equal(info.type, 3 /* BPF_PROG_TYPE_SCHED_CLS */);
  assert.match(info.tag, /^[0-9a-f]{16}$/);
  assert.equal(typeof info.runCount, 'bigint');
  assert.throws(() => program.testRun({ data: new Uint8Array(2) }), refusal({ code: 'EINVAL' }));
});

test('an object uses the maps of another one', { skip }, (context) => {
  const binding = loadBinding();
  const first = loadFixture(context, binding);
  const second = loadFixture(context, binding, (object) => {
    object.reuseMap('sums', first.map('sums'));
    assert.throws(
      () => object.reuseMap('tables', first.map('sums')),
      refusal({ code: 'EINVAL', syscall: 'bpf_map__reuse_fd' }),
    );
    object.setRodata('stamp', u64.encode(5n));
  });
  second.program('read_tables').testRun({ data: new Uint8Array(64) });
  assert.deepEqual(first.map('sums').lookup(u32.encode(1)), u64.encode(5n));
});

test('a closed object takes its maps and programs with it, not its links', { skip }, (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  const map = object.map('sums');
  const program = object.program('look');
  const link = program.attachNetns(makeNetns(context));
  object.close();
  object.close();
  assert.throws(() => object.load(), refusal({ code: 'EBADF' }));
  assert.throws(() => map.dump(), refusal({ code: 'EBADF' }));
  assert.throws(() => program.fd, refusal({ code: 'EBADF' }));
  assert.ok(link.id() > 0);
  link.detach();
  link.close();
  link.close();
  assert.throws(() => link.id(), refusal({ code: 'EBADF' }));
});

test('a cgroup link is pinned, updated in place and detached', { skip }, (context) => {
  const binding = loadBinding();
  const object = loadFixture(context, binding);
  const cgroup = makeCgroup(uniqueName());
  context.after(() => removeCgroup(cgroup));
  const pin = `${makePinFolder(context)}/link`;
  const { fd, port } = binding.listenIn({
    ...{ netnsPath: null, family: 4, addr: LOOPBACK, port: 0, backlog: 16 },
  });
  context.after(() => binding.closeFd(fd));
  const connects = (): boolean => {
    const script = 'echo $$ > "$0/cgroup.procs" && exec 3<>/dev/tcp/127.0.0.1/$1';
    return spawnSync('bash', ['-c', script, cgroup, String(port)]).status === 0;
  };
  const link = object.program('allow_connect').attachCgroup(cgroup);
  assert.ok(connects());
  link.pin(pin);
  const id = link.id();
  link.close();
  const opened = binding.openPinnedLink(pin);
  assert.equal(opened.id(), id);
  opened.update(object.program('deny_connect'));
  assert.ok(!connects());
  assert.throws(
    () => opened.update(object.program('look')),
    refusal({ syscall: 'bpf_link_update' }),
  );
  opened.detach();
  assert.ok(connects());
  assert.throws(
    () => opened.update(object.program('deny_connect')),
    refusal({ code: 'ENOLINK', syscall: 'bpf_link_update' }),
  );
  opened.close();
  assert.throws(
    () => object.program('allow_connect').attachCgroup('/nowhere'),
    refusal({ code: 'ENOENT', syscall: 'open' }),
  );
  assert.throws(
    () => object.program('look').attachCgroup(cgroup),
    refusal({ code: 'EINVAL', syscall: 'bpf_program__attach_cgroup' }),
  );
});

test('verdicts of a sockhash attach and detach', { skip }, (context) => {
  const object = loadFixture(context, loadBinding());
  const socks = object.map('socks');
  for (const name of ['message', 'arrived']) {
    object.program(name).attachSockmap(socks);
    object.program(name).detachSockmap(socks);
  }
  assert.throws(
    () => object.program('message').detachSockmap(socks),
    refusal({ code: 'ENOENT', syscall: 'bpf_prog_detach2' }),
  );
  assert.throws(
    () => object.program('message').attachSockmap(object.map('sums')),
    refusal({ syscall: 'bpf_prog_attach' }),
  );
});

test('a tracing program attaches, and is test-run for its effects', { skip }, (context) => {
  const object = loadFixture(context, loadBinding());
  const link = object.program('traced').attachTracing();
  assert.ok(link.id() > 0);
  link.close();
  assert.equal(object.program('traced').testRun({ ctx: new Uint8Array(16) }).retval, 0);
});

test('an iterator over a map prints all of it', { skip }, (context) => {
  const object = loadFixture(context, loadBinding(), (opened) =>
    opened.setMaxEntries('sums', 30_000),
  );
  const map = object.map('sums');
  const link = object.program('values').attachIter(map);
  assert.equal(link.readIter().length, 0);
  const count = 30_000; // more than one read of 64 KiB
  map.updateBatch(u32Keys(count), u64Values(count), count);
  const printed = link.readIter();
  assert.equal(printed.length, 8 * count);
  let sum = 0n;
  for (let i = 0; i < count; i++) sum += u64.decode(printed, 8 * i);
  assert.equal(sum, (BigInt(count) * BigInt(count - 1)) / 2n);
  link.close();
  assert.throws(() => object.program('values').attachIter(), refusal({ code: 'EBADF' }));
});

test('an iterator over sockets runs in the namespace asked for', { skip }, (context) => {
  const binding = loadBinding();
  const netnsPath = makeNetns(context);
  const { fd, port } = binding.listenIn({
    ...{ netnsPath, family: 4, addr: LOOPBACK, port: 0, backlog: 1 },
  });
  const link = loadFixture(context, binding).program('listeners').attachIter();
  const ports = (bytes: Uint8Array): number[] =>
    Array.from({ length: bytes.length / 4 }, (_, i) => u32.decode(bytes, 4 * i));
  assert.deepEqual(ports(link.readIter(netnsPath)), [port]);
  assert.ok(!ports(link.readIter()).includes(port));
  assert.throws(() => link.readIter('/nowhere'), refusal({ code: 'ENOENT', syscall: 'open' }));
  assert.throws(() => link.readIter('/etc/passwd'), refusal({ code: 'EINVAL', syscall: 'setns' }));
  link.close();
  binding.closeFd(fd);
});

test('readBtf returns the types of an object', { skip }, (context) => {
  const binding = loadBinding();
  const path = compileFixture(context, 'native');
  const types = Buffer.from(binding.readBtf(path));
  assert.equal(types.readUInt16LE(0), 0xeb9f);
  assert.ok(types.includes('flags'));
  assert.ok(readFileSync(path).includes(types.subarray(types.length - 64)));
  assert.throws(
    () => binding.readBtf('/nowhere'),
    refusal({ code: 'ENOENT', syscall: 'btf__parse_elf' }),
  );
});
