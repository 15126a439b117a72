// SPDX-License-Identifier: Apache-2.0
export { ProcessServer, type ProcessServerOptions } from './process-server';
