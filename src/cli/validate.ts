/**
 * `podwire validate -f DIR`: says what the agent would say about a folder of YAML, without an agent and without root.
 */
import { Command } from 'commander';
import { DEFAULT_CLUSTER_ID } from '../config/defaults.ts';
import { createLog } from '../log.ts';
import { formatFinding, type Finding } from '../model/finding.ts';
import { DEFAULT_TRUST_DOMAIN } from '../model/workload.ts';
import { outputOption, render, type OutputFormat } from './output.ts';

interface ValidateOptions {
  readonly file: string;
  readonly strict?: boolean;
  readonly output: OutputFormat;
}

const EXIT_INVALID = 2;

export function validateCommand(): Command {
  return new Command('validate')
    .description(
      'Check a folder of configuration.\n' +
        `Exit code ${EXIT_INVALID} when something in it cannot be used.`,
    )
    .requiredOption('-f, --file <dir>', 'folder of Kubernetes YAML')
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

async function findingsOf(dir: string): Promise<readonly Finding[]> {
  const { startControl } = await import('../control/app.ts');
  const control = await startControl({
    dir,
    log: createLog({ level: 'silent', pretty: false }),
    trustDomain: DEFAULT_TRUST_DOMAIN,
    clusterId: DEFAULT_CLUSTER_ID,
    onUpdate: () => {},
  });
  try {
    return control.findings();
  } finally {
    await control.close();
  }
}

function page(findings: readonly Finding[]): string {
  const lines = findings.map((finding) => `${finding.severity}: ${formatFinding(finding)}`);
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  return [...lines, `${errors} errors, ${findings.length - errors} warnings`].join('\n');
}
