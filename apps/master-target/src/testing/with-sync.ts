// SPDX-License-Identifier: Apache-2.0
import type { StorageDirectory } from '@secondsite/durable-storage';

/** The same folder; every sync of the file waits for `before`. */
export function withSync(directory: StorageDirectory, name: string, before: () => Promise<void>): StorageDirectory {
  const instead = <Port extends object>(port: Port, key: string, call: unknown): Port =>
    new Proxy(port, {
      get: (target, property) => {
        const value: unknown = Reflect.get(target, property, target);
        if (property === key) return call;
        return typeof value === 'function' ? (...args: unknown[]): unknown => Reflect.apply(value, target, args) : value;
      },
    });
  return instead(directory, 'open', async (opened: string, options?: { readonly create?: boolean }) => {
    const file = await directory.open(opened, options);
    return opened === name ? instead(file, 'sync', () => before().then(() => file.sync())) : file;
  });
}
