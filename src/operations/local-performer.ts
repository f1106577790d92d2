import type { InputOf, OperationMeans, OperationName, Performer, ResultOf } from './catalogue.ts';
import { operationOf } from './catalogue.ts';
import { checkedInput } from './checked-input.ts';
import type { OpenedStore, OpenStore, StoreLocator } from './store-access.ts';

/** Where operations are done, and with what. */
export interface LocalParts extends Omit<OperationMeans, 'config' | 'onStep'> {
  readonly openStore: OpenStore;
  /** @throws HipacheError COMMAND_INVALID, or what is wrong with the configuration. */
  readonly locate: () => StoreLocator;
  /** Null for the defaults. @throws what is wrong with the configuration. */
  readonly config: () => OperationMeans['config'];
}

/** Of operations that use no store. */
const unused = {} as OpenedStore;

/** Does operations with a store that it opens when the first one needs it, and keeps open. */
export class LocalPerformer implements Performer {
  private readonly parts: LocalParts;
  private opening: Promise<OpenedStore> | null = null;

  constructor(parts: LocalParts) {
    this.parts = parts;
  }

  async perform<Name extends OperationName>(
    name: Name,
    input: InputOf<Name>,
    onStep: OperationMeans['onStep'] = () => {},
  ): Promise<ResultOf<Name>> {
    const { config, instance, now, routeIndex } = this.parts;
    const operation = operationOf(name);
    const checked = checkedInput(operation.input, input as object);
    const act = operation.prepare(checked, {
      ...{ config: config(), instance, now, onStep },
      ...(routeIndex === undefined ? {} : { routeIndex }),
    });
    const store = operation.usesStore ? await this.open(operation.creates(checked)) : unused;
    return (await act(store)) as ResultOf<Name>;
  }

  async close(): Promise<void> {
    const { opening } = this;
    this.opening = null;
    await (await opening?.catch(() => null))?.close();
  }

  /** The next operation tries again if the store cannot be opened. */
  private open(create: boolean): Promise<OpenedStore> {
    const { locate, openStore } = this.parts;
    const { deadSet, driver } = locate();
    this.opening ??= openStore(driver, { create, deadSet }).catch((error: unknown) => {
      this.opening = null;
      throw error;
    });
    return this.opening;
  }
}
