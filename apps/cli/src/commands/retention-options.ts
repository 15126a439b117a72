// SPDX-License-Identifier: Apache-2.0
import type { RetentionPolicy } from '@secondsite/contracts';
import type { Command } from 'commander';
import { readFileSync } from 'node:fs';
import { required, usageError } from '../cli-context';
import { humanBytes, humanSeconds, parseBytes, parseSeconds } from '../output';
import { formatKeepRule, keepRuleHelp, parseKeepRule } from './keep-rules';

export interface RetentionOptions {
  readonly retention?: string;
  readonly retentionSpace?: string;
  readonly keep?: string[];
  readonly keepFile?: string;
}

export function addRetentionOptions(command: Command): Command {
  return command
    .option('--retention <duration>', 'window in which any write can be recovered to (default 24h)')
    .option('--retention-space <size>', 'also bound the journal by space, whichever comes first')
    .option('--keep <rule>', keepRuleHelp, (rule: string, before: string[] | undefined) => [...(before ?? []), rule])
    .option('--keep-file <file>', 'a ladder as a JSON array of such rules');
}

/** A retention with what the options say in place of what was; `--retention-space none` takes the limit away. Throws a usage error. */
export function changedRetention(current: RetentionPolicy, options: RetentionOptions): RetentionPolicy {
  const unlimited = options.retentionSpace === 'none';
  const { retentionSpace: _, ...others } = options;
  const given = retentionOf(unlimited ? others : options);
  if (!given && !unlimited) throw usageError('Give --retention, --retention-space, --keep or --keep-file.');
  const { spaceBytes, rules, windowSeconds } = { ...current, ...(given?.windowSeconds !== undefined && { rules: undefined }), ...given };
  return { windowSeconds, ...(rules && { rules }), ...(spaceBytes !== undefined && !unlimited && { spaceBytes }) };
}

/** What the options say; undefined when they say nothing. Throws a usage error. */
export function retentionOf(options: RetentionOptions): Partial<RetentionPolicy> | undefined {
  const { retention, retentionSpace } = options;
  const rules = rulesOf(options);
  if (retention !== undefined && rules) throw usageError('Give --retention or --keep rules; with rules the window is that of the last one.');
  const windowSeconds = retention === undefined ? undefined : required(parseSeconds(retention), '--retention is a duration such as 24h or 7d.');
  const spaceBytes = retentionSpace === undefined ? undefined : required(parseBytes(retentionSpace), '--retention-space is a size such as 50GiB.');
  if (windowSeconds === undefined && spaceBytes === undefined && !rules) return undefined;
  return { ...(windowSeconds === undefined ? {} : { windowSeconds }), ...(spaceBytes === undefined ? {} : { spaceBytes }), ...(rules && { rules }) };
}

function rulesOf({ keep, keepFile }: RetentionOptions): RetentionPolicy['rules'] {
  if (keep && keepFile !== undefined) throw usageError('Give --keep or --keep-file, not both.');
  const texts = keepFile === undefined ? keep : textsOf(keepFile);
  return texts?.map((text) => required(parseKeepRule(text), `"${text}" is no rule: write "all for 24h", "every 4h until 7d" or "user bookmarks until 28d".`));
}

function textsOf(file: string): string[] {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw usageError(`--keep-file ${file} cannot be read as JSON: ${String(error)}`);
  }
  if (Array.isArray(content) && content.length > 0 && content.every((one) => typeof one === 'string')) return content;
  throw usageError('--keep-file is a JSON array of rules such as ["all for 24h", "every 4h until 7d"].');
}

/** A retention in words. */
export function describeRetention({ windowSeconds, spaceBytes, rules }: RetentionPolicy): string {
  const space = spaceBytes === undefined ? '' : ` or ${humanBytes(spaceBytes)}`;
  return `${rules ? rules.map(formatKeepRule).join(', ') : humanSeconds(windowSeconds)}${space}`;
}
