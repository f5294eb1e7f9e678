import { describe, expect, it } from 'vitest';
import type { Problem } from '../api/types';
import { faultsOf, freshStep, layout, lineOfStep, type PlanStep, read, rename, without, write } from './plan';

const step = (id: string, ...after: string[]): PlanStep => ({ id, after, do: { wait: { seconds: 1 } } });
const problem = (part: Partial<Problem>) =>
  ({ code: 'plan_faults', detail: 'd', status: 422, title: 't', type: 'x', ...part }) as Problem;

describe('the text of a plan', () => {
  it('is read and written without a loss', () => {
    const text = write({
      name: 'shop',
      at_once: 2,
      steps: [{ ...step('a'), do: { script: { program: 'x' } } }],
    });
    const found = read(text);
    expect('document' in found && write(found.document)).toBe(text);
  });

  it('names the line on which it is broken', () => {
    const found = read('{\n "name": "shop",\n "steps": [ }\n}');
    expect('fault' in found && found.fault.line).toBe(3);
  });

  it('is none without steps that have an id and something to do', () => {
    for (const text of [
      'null',
      '[]',
      '{"name":"a"}',
      '{"name":"a","steps":[{"id":"x"}]}',
      '{"name":"a","steps":[{"id":"x","do":{"wait":3}}]}',
    ])
      expect(read(text), text).toHaveProperty('fault');
  });

  it('has each step on a line', () => {
    const text = write({ name: 'shop', steps: [step('db'), step('db-2', 'db')] });
    expect(text.split('\n')[(lineOfStep(text, 'db-2') ?? 0) - 1]).toContain('"id": "db-2"');
    expect(lineOfStep(text, 'web')).toBeNull();
    expect(lineOfStep(text, 'd.')).toBeNull();
  });
});

describe('what the server says of a plan', () => {
  const text = write({ name: 'shop', steps: [step('a'), step('b', 'a')] });

  it('is shown at the steps that it names', () => {
    const faults = faultsOf(
      problem({ cause: 'step b: there is no group "x"; name another | the plan has a fault; mend it' }),
      text,
    );
    expect(faults.map(({ step: of, line }) => [of, line])).toEqual([
      ['b', lineOfStep(text, 'b')],
      [null, null],
    ]);
  });

  it('is shown at the line that it names', () => {
    const cause = 'unknown field `nam`, expected one of `name` at line 3 column 42';
    expect(faultsOf(problem({ code: 'invalid_request', cause }), text)).toEqual([
      { step: null, line: 3, text: cause },
    ]);
  });

  it('is left to the notice when it is about something else', () => {
    expect(faultsOf(problem({ code: 'changed_meanwhile', cause: 'version 3 is there' }), text)).toEqual([]);
    expect(faultsOf(null, text)).toEqual([]);
  });
});

describe('the graph', () => {
  it('has a step behind all that it comes after', () => {
    const placed = layout([step('a'), step('b', 'a'), step('c', 'a', 'b'), step('d')] as never);
    expect(placed).toEqual([
      { id: 'a', depth: 0, row: 0 },
      { id: 'b', depth: 1, row: 0 },
      { id: 'c', depth: 2, row: 0 },
      { id: 'd', depth: 0, row: 1 },
    ]);
  });

  it('is none of steps that wait for each other', () => {
    expect(layout([step('a', 'b'), step('b', 'a')] as never)).toBeNull();
  });

  it('is quick where many steps come after many', () => {
    const steps = Array.from({ length: 200 }, (_, at) =>
      step(`s${at}`, ...Array.from({ length: Math.min(at, 8) }, (_, back) => `s${at - back - 1}`)),
    );
    expect(layout(steps as never)?.at(-1)?.depth).toBe(199);
  });
});

describe('the form', () => {
  it('renames a step where others come after it too', () => {
    expect(rename([step('a'), step('b', 'a')], 'a', 'db')).toEqual([step('db'), step('b', 'db')]);
  });

  it('closes the gap that a removed step leaves', () => {
    expect(without([step('a'), step('b', 'a'), step('c', 'b', 'a')], 'b')).toEqual([
      step('a'),
      step('c', 'a'),
    ]);
  });

  it('begins a new step after the last one, under a free id', () => {
    expect(freshStep([step('wait')], 'wait')).toMatchObject({ id: 'wait-2', after: ['wait'] });
  });
});
