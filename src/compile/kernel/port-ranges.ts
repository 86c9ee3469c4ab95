/** Sets of TCP ports: sorted ranges that do not touch, and the binary prefixes a trie holds. */

/** [first, last] */
export type PortRange = readonly [number, number];
export type PortRanges = readonly PortRange[];

/** The ports whose first `bits` of 16 are those of `port`. */
export interface PortPrefix {
  readonly port: number;
  readonly bits: number;
}

export const ALL_PORTS: PortRanges = [[0, 65_535]];

export function unionPorts(ranges: readonly PortRange[]): PortRanges {
  const union: [number, number][] = [];
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    const open = union.at(-1);
    if (open && first <= open[1] + 1) open[1] = Math.max(open[1], last);
    else union.push([first, last]);
  }
  return union;
}

export function intersectPorts(a: PortRanges, b: PortRanges): PortRanges {
  return a.flatMap(([first, last]) =>
    b.flatMap(([from, to]): PortRange[] => {
      const [low, high] = [Math.max(first, from), Math.min(last, to)];
      return low <= high ? [[low, high]] : [];
    }),
  );
}

/** 30 for a range at most. */
export function portPrefixes(ranges: PortRanges): PortPrefix[] {
  return ranges.flatMap(([first, last]) => {
    const prefixes: PortPrefix[] = [];
    for (let port = first; port <= last;) {
      let bits = 16;
      while (bits > 0 && port % (1 << (17 - bits)) === 0 && port + (1 << (17 - bits)) - 1 <= last)
        bits--;
      prefixes.push({ port, bits });
      port += 1 << (16 - bits);
    }
    return prefixes;
  });
}
