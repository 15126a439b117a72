// SPDX-License-Identifier: Apache-2.0
import type { ComponentSurroundings, RunningComponent } from '@secondsite/component';
import { startComponentService } from '@secondsite/service-kit';
import type { ProcessServerConfig } from './config';
import { DataPlane } from './data-plane/data-plane';
import { ProcessServerModule } from './process-server.module';

/** Starts everything of a process server: identity, bus, data plane, control; then writes ready.json. */
export function startComponent(config: ProcessServerConfig, surroundings: ComponentSurroundings): Promise<RunningComponent & { readonly url: string }> {
  const module = ProcessServerModule.with({ config, onFatal: surroundings.onFatal });
  return startComponentService({ role: 'process-server', config, surroundings, module, dataPlane: DataPlane });
}
