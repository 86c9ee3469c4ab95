#!/usr/bin/env node
/**
 * The podwire program, also as `kubectl podwire`: finds the verb, runs it, and turns whatever comes of it into one message
 * and an exit code.  The only place that ends the process.
 *
 * A verb's module is loaded when the verb is asked for: the others cost no start-up time and cannot break it.
 */
import { basename } from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageInfo } from './config/package.ts';
import { describeError, exitCodeOf } from './errors.ts';

interface Verb {
  readonly name: string;
  readonly summary: string;
  readonly group: string;
  readonly load: () => Promise<Command>;
}

const NODE = 'On a node:';
const CONTROL = 'On the control plane:';
const INSPECT = 'Look into a running agent:';
const TRY = 'Try it out:';
const EXIT_USAGE = 2;

const VERBS: readonly Verb[] = [
  {
    name: 'agent',
    summary: 'capture the pods of this node',
    group: NODE,
    load: async () => (await import('./cli/agent.ts')).agentCommand(),
  },
  {
    name: 'control',
    summary: 'serve configuration and certificates to agents',
    group: CONTROL,
    load: async () => (await import('./cli/control.ts')).controlCommand(),
  },
  {
    name: 'doctor',
    summary: 'say what podwire can use on this kernel, and why not',
    group: NODE,
    load: async () => (await import('./cli/doctor.ts')).doctorCommand(),
  },
  {
    name: 'validate',
    summary: 'check resources: files, folders or stdin, as one mesh',
    group: NODE,
    load: async () => (await import('./cli/validate.ts')).validateCommand(),
  },
  {
    name: 'cleanup',
    summary: 'remove everything of podwire from this node',
    group: NODE,
    load: async () => (await import('./cli/cleanup.ts')).cleanupCommand(),
  },
  {
    name: 'token',
    summary: 'let machines outside Kubernetes join',
    group: CONTROL,
    load: async () => (await import('./cli/token.ts')).tokenCommand(),
  },
  {
    name: 'ca',
    summary: 'roots of the mesh, and their rotation',
    group: CONTROL,
    load: async () => (await import('./cli/ca.ts')).caCommand(),
  },
  {
    name: 'status',
    summary: 'how the agent is and what it does',
    group: INSPECT,
    load: async () => (await import('./cli/status.ts')).statusCommand(),
  },
  {
    name: 'pods',
    summary: 'the pods of this node and whether they are captured',
    group: INSPECT,
    load: async () => (await import('./cli/pods.ts')).podsCommand(),
  },
  {
    name: 'connections',
    summary: 'live connections: path, bytes, why not spliced',
    group: INSPECT,
    load: async () => (await import('./cli/connections.ts')).connectionsCommand(),
  },
  {
    name: 'services',
    summary: 'Services, their endpoints and how busy each is',
    group: INSPECT,
    load: async () => (await import('./cli/services.ts')).servicesCommand(),
  },
  {
    name: 'workloads',
    summary: 'workloads of the mesh: addresses, nodes, identities',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/addresses.ts')).workloadsCommand(),
  },
  {
    name: 'endpoints',
    summary: 'endpoints of Services (kernel) and of clusters (proxy)',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/endpoints.ts')).endpointsCommand(),
  },
  {
    name: 'policies',
    summary: 'policies in force for each pod, and their rules',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/policies.ts')).policiesCommand(),
  },
  {
    name: 'listeners',
    summary: 'listeners of the proxy and what they do',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/l7.ts')).listenersCommand(),
  },
  {
    name: 'routes',
    summary: 'HTTP routes of the proxy',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/l7.ts')).routesCommand(),
  },
  {
    name: 'clusters',
    summary: 'clusters of the proxy',
    group: INSPECT,
    load: async () => (await import('./cli/inspect/l7.ts')).clustersCommand(),
  },
  {
    name: 'certificates',
    summary: "certificates of this node's identities, and their ends",
    group: INSPECT,
    load: async () => (await import('./cli/certificates.ts')).certificatesCommand(),
  },
  {
    name: 'trust',
    summary: 'which programs may be spliced',
    group: INSPECT,
    load: async () => (await import('./cli/trust.ts')).trustCommand(),
  },
  {
    name: 'counters',
    summary: 'counters of the data path',
    group: INSPECT,
    load: async () => (await import('./cli/counters.ts')).countersCommand(),
  },
  {
    name: 'bench',
    summary: 'measure plain pods, podwire and Envoy sidecars side by side',
    group: TRY,
    load: async () => (await import('./cli/bench.ts')).benchCommand(),
  },
  {
    name: 'demo',
    summary: 'watch two pods being captured, then measured',
    group: TRY,
    load: async () => (await import('./cli/demo.ts')).demoCommand(),
  },
];

async function buildProgram(argv: readonly string[]): Promise<Command> {
  const [, script = 'podwire', ...args] = argv;
  const program = new Command(
    basename(script).startsWith('kubectl-') ? 'kubectl podwire' : 'podwire',
  )
    .description('A service mesh without sidecars: pods of one node talk through their sockets.')
    .version(packageInfo().version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [verb]', 'show help for a verb')
    .configureHelp({ showGlobalOptions: false, sortSubcommands: false })
    .showHelpAfterError('(--help shows what there is)')
    .addHelpText(
      'after',
      '\nExit codes: 0 ok, 1 failure, 2 bad usage or input, 3 missing privilege or kernel feature,\n' +
        '            4 another agent holds the lock, or no agent answers.',
    )
    .exitOverride();
  const asked = new Set(args.filter((arg) => !arg.startsWith('-')).slice(0, 2));
  for (const { name, summary, group, load } of VERBS) {
    const verb = asked.has(name) ? await load() : new Command(name);
    program.addCommand(verb.copyInheritedSettings(program).summary(summary).helpGroup(group));
    for (const below of verb.commands) below.copyInheritedSettings(verb);
  }
  return program;
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const program = await buildProgram(argv);
    if (argv.length <= 2) {
      program.outputHelp();
      return EXIT_USAGE;
    }
    await program.parseAsync([...argv]);
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // 0: help or the version was asked for
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
    process.stderr.write(`podwire: ${describeError(error)}\n`);
    return exitCodeOf(error);
  }
}

// whoever read the output has gone (`podwire connections | head`)
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

const code = await main(process.argv);
// pipes are written in the background: exit behind the last byte
process.stdout.write('', () => process.exit(code));
