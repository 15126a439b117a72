// SPDX-License-Identifier: Apache-2.0

/** A profile as V8 gives it (Profiler.stop): a tree of functions, and the leaf that each sample saw. */
export interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  /** Microseconds that passed before each sample. */
  readonly timeDeltas: readonly number[];
}

/** Microseconds by stack, `outermost;…;innermost`: the folded form that flame graph tools read. */
export type FoldedStacks = ReadonlyMap<string, number>;

const idle = '(idle)';

/** Where the thread's time went; while it waited for events is not counted. */
export function foldProfile({ nodes, samples, timeDeltas }: CpuProfile): FoldedStacks {
  const stacks = stacksOf(nodes);
  const folded = new Map<string, number>();
  for (const [index, sample] of samples.entries()) {
    const stack = stacks.get(sample) ?? '';
    // The time until the next sample belongs to what this one saw.
    if (stack !== '' && stack !== idle) folded.set(stack, (folded.get(stack) ?? 0) + (timeDeltas[index + 1] ?? 0));
  }
  return folded;
}

/** The sum of several; who has none counts for nothing. */
export function mergeStacks(all: readonly (FoldedStacks | undefined)[]): FoldedStacks {
  const sum = new Map<string, number>();
  for (const stacks of all) for (const [stack, micros] of stacks ?? []) sum.set(stack, (sum.get(stack) ?? 0) + micros);
  return sum;
}

function stacksOf(nodes: CpuProfile['nodes']): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const stacks = new Map<number, string>();
  const visit = (id: number, above: string): void => {
    const node = byId.get(id);
    if (!node) return;
    const name = labelOf(node.callFrame);
    const stack = name === '(root)' ? '' : above === '' ? name : `${above};${name}`;
    stacks.set(id, stack);
    for (const child of node.children ?? []) visit(child, stack);
  };
  const root = nodes[0];
  if (root) visit(root.id, '');
  return stacks;
}

/** `set-applier:apply`, `node:fs:writeSync`, `(garbage collector)`; a function without a name has its line, a native one, as those of a library, has none. */
function labelOf({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const file = url.startsWith('node:') ? url : url.split('/').at(-1)?.replace(/\.[cm]?js$/, '');
  const name = functionName || (url === '' ? '(native)' : `line ${lineNumber + 1}`);
  return (file ? `${file}:${name}` : name).replaceAll(';', ',');
}

/** A function's share of a thread's time, in microseconds: in itself, and with everything it called. */
export interface FunctionTime {
  readonly name: string;
  readonly self: number;
  readonly total: number;
}

/** Most own time first. A function that calls itself counts once in each stack. */
export function functionTimes(stacks: FoldedStacks): FunctionTime[] {
  const times = new Map<string, { self: number; total: number }>();
  const timesOf = (name: string): { self: number; total: number } => {
    const known = times.get(name) ?? { self: 0, total: 0 };
    times.set(name, known);
    return known;
  };
  for (const [stack, micros] of stacks) {
    const frames = stack.split(';');
    timesOf(frames.at(-1) as string).self += micros;
    for (const frame of new Set(frames)) timesOf(frame).total += micros;
  }
  return [...times].map(([name, time]) => ({ name, ...time })).sort((a, b) => b.self - a.self || b.total - a.total);
}
