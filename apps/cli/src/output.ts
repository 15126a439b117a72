// SPDX-License-Identifier: Apache-2.0
/** Formats what commands print. Programs read `--json`; everything else is for people. */
export type Cell = string | number | null | undefined;

const unitNames = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `1536` → `1.5 KiB`. */
export function humanBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < unitNames.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${unitNames[unit] as string}`;
}

/** `0.42` → `0.4 s`, `5400` → `1 h 30 min`; a missing figure is a dash. */
export function humanSeconds(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–';
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

/** Aligned columns under a header; one line when there are no rows. */
export function table(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  if (rows.length === 0) return '(none)';
  const texts = [header, ...rows].map((row) => row.map((cell) => String(cell ?? '–')));
  const widths = header.map((_, column) => Math.max(...texts.map((row) => (row[column] ?? '').length)));
  return texts.map((row) => row.map((cell, column) => cell.padEnd(widths[column] as number)).join('  ').trimEnd()).join('\n');
}

/** Reads `50GiB`, `10G`, `512MiB` or plain bytes; undefined if it is no size. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?$/i.exec(text.trim());
  if (!match) return undefined;
  const power = ['', 'K', 'M', 'G', 'T', 'P'].indexOf((match[2] ?? '').toUpperCase());
  return Math.round(Number(match[1]) * 1024 ** power);
}

/** Reads `24h`, `15m`, `30s`, `7d`, `4w`, `1y` (365 days); undefined if it is no duration. */
export function parseSeconds(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(s|m|h|d|w|y)$/.exec(text.trim());
  if (!match) return undefined;
  const perUnit: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_536_000 };
  return Math.round(Number(match[1]) * (perUnit[match[2] as string] as number));
}
