import { describe, expect, it } from 'vitest';
import { parseSpan, span, stopwatch, took, UNIT_NAMES, wholeSpan } from './spans';

describe('span', () => {
  it('has one decimal while that says something, and cuts instead of rounding up', () => {
    expect(span(0)).toBe('0.0 s');
    expect(span(0.49)).toBe('0.4 s');
    expect(span(9.99)).toBe('9.9 s');
    expect(span(10.9)).toBe('10 s');
    expect(span(59.999)).toBe('59 s');
  });

  it('has two units at most', () => {
    expect(span(60)).toBe('1 min');
    expect(span(61)).toBe('1 min 1 s');
    expect(span(3599)).toBe('59 min 59 s');
    expect(span(3600)).toBe('1 h');
    expect(span(86_399)).toBe('23 h 59 min');
    expect(span(90_000)).toBe('1 d 1 h');
  });

  it('says less than nothing and nothing at all', () => {
    expect(span(-5)).toBe('−5.0 s');
    expect(span(Number.NaN)).toBe('–');
  });

  it('speaks Chinese', () => {
    expect(span(3725, UNIT_NAMES.zh)).toBe('1 小时 2 分');
    expect(took(1.5, UNIT_NAMES.zh)).toBe('1.50 秒');
  });

  it('leaves out the tenths of what ticks', () => {
    expect(wholeSpan(3.9)).toBe('3 s');
    expect(wholeSpan(75)).toBe('1 min 15 s');
  });
});

describe('took', () => {
  it('is finer for what is short', () => {
    expect(took(0.0041)).toBe('0.00 s');
    expect(took(28.272)).toBe('28.3 s');
    expect(took(125)).toBe('2 min 5 s');
  });
});

describe('stopwatch', () => {
  it('shows hours only when there are any', () => {
    expect(stopwatch(-3)).toBe('00:00');
    expect(stopwatch(65.9)).toBe('01:05');
    expect(stopwatch(3661)).toBe('1:01:01');
  });
});

describe('parseSpan', () => {
  it('reads what an operator types', () => {
    expect(parseSpan('90')).toBe(90);
    expect(parseSpan(' 30m ')).toBe(1800);
    expect(parseSpan('2h')).toBe(7200);
    expect(parseSpan('7d')).toBe(604_800);
  });

  it('refuses what is no length of time', () => {
    for (const text of ['', 'h', '-5', '1.5h', '2 weeks', '9999999999']) expect(parseSpan(text)).toBeNull();
  });
});
