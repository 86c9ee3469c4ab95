/**
 * `podwire ca`: the roots of the mesh and their rotation, asked of a control that runs.
 */
import { Command } from 'commander';
import type { RotationStatus } from '../control/ca/root-state.ts';
import type { RootsView } from '../control/roots/roots-view.ts';
import { askControl, controlAdminOption } from './client.ts';
import { outputOption, render, renderTable, type OutputFormat } from './output.ts';

interface Options {
  readonly admin: string;
  readonly output: OutputFormat;
}

export function caCommand(): Command {
  return new Command('ca')
    .description('The roots by which the mesh knows its certificates.')
    .addCommand(statusCommand())
    .addCommand(
      new Command('roots')
        .description('Print the roots as PEM, for --xds-root and whoever verifies the mesh.')
        .addOption(controlAdminOption())
        .action(async ({ admin }: Options) => {
          process.stdout.write((await askControl<RootsView>('GET', admin, '/v1/roots')).bundle);
        }),
    )
    .addCommand(rotateCommand());
}

function statusCommand(): Command {
  return new Command('status')
    .description('Show the roots, and where a rotation stands.')
    .addOption(controlAdminOption())
    .addOption(outputOption())
    .action(async ({ admin, output }: Options) => {
      const view = await askControl<RootsView>('GET', admin, '/v1/roots');
      console.log(render(output, view, () => page(view)));
    });
}

function rotateCommand(): Command {
  return new Command('rotate')
    .description('Begin a rotation of the roots; certificates stay valid throughout.')
    .addOption(controlAdminOption())
    .addOption(outputOption())
    .action(async ({ admin, output }: Options) => {
      const rotation = await askControl<RotationStatus>('POST', admin, '/v1/ca/rotate');
      console.log(render(output, rotation, () => rotationLine(rotation)));
    });
}

function page({ certificates, rotation }: RootsView): string {
  const table = renderTable(
    [
      { head: 'SUBJECT', cell: ({ subject }) => subject.replaceAll('\n', ', ') },
      { head: 'ENDS', cell: ({ notAfter }) => notAfter },
      { head: 'SHA-256', cell: ({ fingerprint }) => fingerprint },
    ],
    certificates,
    'no roots',
  );
  return `${table}\n\n${rotation === null ? 'rotation: with whoever gave the roots' : rotationLine(rotation)}`;
}

function rotationLine({ phase, requested, switchAt, dropAt }: RotationStatus): string {
  const next = requested ? '; another follows' : '';
  if (phase === 'steady') return `rotation: none${requested ? ', but asked for' : ''}`;
  if (phase === 'retiring') return `rotation: the old root is dropped at ${dropAt}${next}`;
  return `rotation: the next root signs from ${switchAt}, the old one is dropped at ${dropAt}${next}`;
}
