/**
 * All number tables of one node's kernel state; saved together in the state folder.
 */
import {
  emptyNumberTable,
  NumberAllocator,
  numberTableFromJson,
  numberTableToJson,
  type NumberTable,
} from './number-table.ts';

const TABLES = ['identities', 'services', 'backends', 'limits', 'policies', 'cidrTables'] as const;
type TableName = (typeof TABLES)[number];

/**
 * identities: by SPIFFE id; services: by VIP and port; backends: by address and port; limits: by Service and port;
 * policies: by "namespace/name"; cidrTables: by content.
 */
export type Numbers = { readonly [T in TableName]: NumberTable };
export type Allocators = { readonly [T in TableName]: NumberAllocator };

export function emptyNumbers(): Numbers {
  return each(() => emptyNumberTable());
}

export function allocators(numbers: Numbers): Allocators {
  return each((name) => new NumberAllocator(numbers[name]));
}

/** `previous` itself when no number was given out since. */
export function allocated(all: Allocators, previous: Numbers): Numbers {
  const numbers = each((name) => all[name].table());
  return TABLES.every((name) => numbers[name] === previous[name]) ? previous : numbers;
}

export function numbersToJson(numbers: Numbers): unknown {
  return { version: 1, tables: each((name) => numberTableToJson(numbers[name])) };
}

/** undefined when any table is damaged. */
export function numbersFromJson(json: unknown): Numbers | undefined {
  const { version, tables } = (json ?? {}) as { version?: unknown; tables?: unknown };
  if (version !== 1 || typeof tables !== 'object' || tables === null) return undefined;
  const read = each((name) => numberTableFromJson((tables as Record<string, unknown>)[name]));
  return TABLES.every((name) => read[name] !== undefined) ? (read as Numbers) : undefined;
}

function each<T>(make: (name: TableName) => T): { [N in TableName]: T } {
  return Object.fromEntries(TABLES.map((name) => [name, make(name)])) as { [N in TableName]: T };
}
