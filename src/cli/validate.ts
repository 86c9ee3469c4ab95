/**
 * `podwire validate -f FILE|DIR|-`: says what control would say about resources, without an agent and without root.
 */
import { Command } from 'commander';
import { DEFAULT_CLUSTER_ID } from '../config/defaults.ts';
import { createLog } from '../log.ts';
import { formatFinding, type Finding } from '../model/finding.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import { outputOption, render, type OutputFormat } from './output.ts';

interface ValidateOptions {
  readonly file: readonly string[];
  readonly strict?: boolean;
  readonly output: OutputFormat;
}

const EXIT_INVALID = 2;

export function validateCommand(): Command {
  return new Command('validate')
    .description(
      'Check Kubernetes, Istio and Gateway API resources, each alone and all of them as one mesh.\n' +
        `Exit code ${EXIT_INVALID} when something in them cannot be used; warnings are no failure.`,
    )
    .requiredOption(
      '-f, --file <path>',
      'file or folder of YAML, or - for standard input; may be given several times',
      (path: string, before?: readonly string[]) => [...(before ?? []), path],
    )
    .option('--strict', 'warnings count as errors')
    .addOption(outputOption())
    .action(async ({ file, strict, output }: ValidateOptions) => {
      const findings = await findingsOf(file);
      console.log(render(output, findings, () => page(findings)));
      if (findings.some(({ severity }) => strict || severity === 'error')) {
        process.exitCode = EXIT_INVALID;
      }
    });
}

async function findingsOf(paths: readonly string[]): Promise<readonly Finding[]> {
  const [{ ControlCore }, { GivenSource }, { translateOptions }] = await Promise.all([
    import('../control/core.ts'),
    import('../control/sources/file/given.ts'),
    import('../control/translate/options.ts'),
  ]);
  const core = new ControlCore({
    sources: [new GivenSource(paths, process.stdin)],
    translate: translateOptions({
      trustDomain: DEFAULT_TRUST_DOMAIN,
      clusterId: DEFAULT_CLUSTER_ID,
    }),
    log: createLog({ level: 'silent', pretty: false }),
    onUpdate: () => {},
  });
  try {
    await core.start();
    return core.findings();
  } finally {
    await core.close();
  }
}

function page(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => `${finding.severity}: ${formatFinding(finding)}`);
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return [...lines, `${errors} errors, ${findings.length - errors} warnings`].join('\n');
}
