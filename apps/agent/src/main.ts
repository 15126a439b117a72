// SPDX-License-Identifier: Apache-2.0
import { runComponent } from '@secondsite/component';
import { startComponent } from './component';
import { readConfig } from './config';

// Each file that is synced on a disk that hangs keeps a thread of the pool; those of the protected disks need others (ADR 31).
process.env['UV_THREADPOOL_SIZE'] ??= '16';

void runComponent({ role: 'agent', part: 'volumes', readConfig, start: startComponent, graceMillisMax: 30_000 });
