// SPDX-License-Identifier: Apache-2.0
import { OperationError } from '@secondsite/units';
import type { Command } from 'commander';
import { ApiClient } from './api-client';
import { findEndpoint } from './cluster-file';
import type { CliConfig } from './config';

/** What every command needs: configuration, the REST client and how to print. */
export interface CliContext {
  readonly config: CliConfig;
  readonly print: (line: string) => void;
}

/** Options that every command has through the program. */
export interface GlobalOptions {
  readonly json?: boolean;
  readonly data?: string;
}

/** The configuration with `--data` applied. */
export function effectiveConfig(context: CliContext, command: Command): CliConfig {
  const { data } = command.optsWithGlobals<GlobalOptions>();
  return data === undefined ? context.config : { ...context.config, home: data, url: undefined, caFile: undefined, adminTokenFile: undefined };
}

export async function connect(context: CliContext, command: Command): Promise<ApiClient> {
  return new ApiClient(await findEndpoint(effectiveConfig(context, command)));
}

/** Prints the value as JSON with `--json`, else in the words of `human`. */
export function show<Value>(context: CliContext, command: Command, { value, human }: { readonly value: Value; readonly human: (value: Value) => string }): void {
  context.print(command.optsWithGlobals<GlobalOptions>().json ? JSON.stringify(value, undefined, 2) : human(value));
}

/** The value, or a usage error with the hint when there is none. */
export function required<Value>(value: Value | undefined, hint: string): Value {
  if (value === undefined) throw usageError(hint);
  return value;
}

/** A mistake in how a command was called. */
export function usageError(hint: string): OperationError {
  return new OperationError({ code: 'cli/usage', operation: 'read the command line', retryable: false, hint });
}
