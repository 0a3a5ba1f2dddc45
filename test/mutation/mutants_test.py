#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""mutants.py: what becomes of a line, what is left alone, and which mutants a sample has."""

import unittest

import mutants


def becomes(source, kind=None):
    """What the lines of this source become, in order; of one kind, or of all."""
    return [mutant.becomes for mutant in mutants.mutants_of('a.cpp', source) if kind in (None, mutant.kind)]


class Kinds(unittest.TestCase):
    def test_a_condition_is_negated(self):
        self.assertEqual(becomes('  if (f(x)) {', 'negate'), ['if (!(f(x))) {'])
        self.assertEqual(becomes('while (is_busy) {', 'negate'), ['while (!(is_busy)) {'])
        self.assertEqual(becomes('} else if (a) {', 'negate'), ['} else if (!(a)) {'])

    def test_a_condition_that_declares_or_goes_on_is_not_negated(self):
        self.assertEqual(becomes('if (const int err = f()) return err;', 'negate'), [])
        self.assertEqual(becomes('if (a &&', 'negate'), [])

    def test_comparisons_are_exchanged(self):
        self.assertEqual(becomes('x = a == b;', 'compare'), ['x = a != b;'])
        self.assertEqual(becomes('x = a < b;', 'compare'), ['x = a <= b;'])
        self.assertEqual(becomes('x = a >= b;', 'compare'), ['x = a > b;'])

    def test_what_only_looks_like_a_comparison_is_left(self):
        self.assertEqual(becomes('x = std::max<int>(a << b, p->q);', 'compare'), [])
        self.assertEqual(becomes('template <typename Call>'), [])

    def test_a_negation_is_not_made_again_as_an_exchange(self):
        self.assertEqual(becomes('if (a == b) {'), ['if (!(a == b)) {'])
        self.assertEqual(becomes('if (a == b && c) {', 'compare'), ['if (a != b && c) {'])

    def test_logic_is_exchanged_also_where_a_line_ends(self):
        self.assertEqual(becomes('return a && b ||', 'logic'), ['return a || b ||', 'return a && b &&'])
        self.assertEqual(becomes('void f(Call &&call) {'), [])

    def test_an_integer_grows(self):
        self.assertEqual(becomes("x = 1'000;", 'constant'), ["x = (1'000 + 1);"])
        self.assertEqual(becomes('x = 0xff;', 'constant'), ['x = (0xff + 1);'])
        self.assertEqual(becomes('x = 1u << y2;', 'constant'), ['x = 2u << y2;'])

    def test_a_number_without_effect_is_left(self):
        for line in ('char line[64];', 'if (__builtin_expect(a, 0)) {', 'bool a : 1;', 'struct alignas(64) A {',
                     'int fd_ = -1;', 'x = a < 0;'):
            self.assertEqual(becomes(line, 'constant'), [], line)

    def test_true_and_false_are_exchanged(self):
        self.assertEqual(becomes('bool a = false;', 'boolean'), ['bool a = true;'])

    def test_a_call_is_removed(self):
        self.assertEqual(becomes('  self.list().push(a);', 'call'), [';'])
        self.assertEqual(becomes('if (a)\n  f(b);\nelse\n  ::close(c);', 'call'), [';', ';'])
        self.assertEqual(becomes('if (a) f(b);', 'call'), ['if (a) ;'])

    def test_what_is_no_call_statement_is_not_removed(self):
        for source in ('void f(int a);', 'Lock lock(mutex_);', 'return f(a);', 'x = f(a);', 'g(a,\n  f(b));'):
            self.assertEqual(becomes(source, 'call'), [], source)

    def test_an_early_way_out_is_removed(self):
        self.assertEqual(becomes('if (a) return b;', 'guard'), [';'])
        self.assertEqual(becomes('if (a) continue;', 'guard'), [';'])
        self.assertEqual(becomes('if (a) b = c;', 'guard'), [])


class LeftAlone(unittest.TestCase):
    def test_comments_and_literals(self):
        self.assertEqual(becomes('// a == b, 1'), [])
        self.assertEqual(becomes('x = f("a == 1");  // true'), [])
        self.assertEqual(becomes("x = '1';"), [])
        self.assertEqual(becomes('/* a == 1\n true */'), [])

    def test_the_preprocessor(self):
        self.assertEqual(becomes('#define A(x) \\\n  f(x, 1);\n#if B == 1'), [])

    def test_assertions(self):
        self.assertEqual(becomes('static_assert(sizeof(A) == 64);'), [])
        self.assertEqual(becomes('#ifdef VIRT_UV_CHECKS\nx = 1;\n#else\nx = 2;\n#endif'), ['x = 3;'])
        self.assertEqual(becomes('{\n  calling_out();'), [])

    def test_the_comment_behind_a_change_stays(self):
        self.assertEqual(becomes('x = 1;  // why'), ['x = 2;  // why'])


class Identity(unittest.TestCase):
    SOURCE = 'x = 1;\nif (a) return;\nx = 1;\n'

    def test_a_line_that_is_there_twice_is_two(self):
        keys = [mutant.key for mutant in mutants.mutants_of('a.cpp', self.SOURCE)]
        self.assertEqual(len(keys), len(set(keys)))
        self.assertEqual(keys[-1], ('a.cpp', 'x = 1;', 'x = 2;', 1))

    def test_a_line_above_changes_nothing(self):
        keys = [mutant.key for mutant in mutants.mutants_of('a.cpp', self.SOURCE)]
        later = [mutant.key for mutant in mutants.mutants_of('a.cpp', '// more\n\n' + self.SOURCE)]
        self.assertEqual(keys, later)

    def test_a_mutant_changes_its_line_only(self):
        last = list(mutants.mutants_of('a.cpp', '  ' + self.SOURCE))[-1]
        self.assertEqual(mutants.applied(last, '  ' + self.SOURCE), '  x = 1;\nif (a) return;\nx = 2;\n')


class Sample(unittest.TestCase):
    SOURCES = {'long.cpp': 'x = f(1);\n' * 60, 'short.cpp': 'y = 2;\n' * 20, 'empty.cpp': '// nothing\n'}

    def chosen(self, number, sources=None):
        return mutants.sample(sources or self.SOURCES, number)

    def test_it_has_as_many_as_asked_for_and_each_once(self):
        chosen = self.chosen(20)
        self.assertEqual(len(chosen), 20)
        self.assertEqual(len({mutant.key for mutant in chosen}), 20)

    def test_a_file_has_its_share(self):
        files = [mutant.file for mutant in self.chosen(20)]
        self.assertEqual((files.count('long.cpp'), files.count('short.cpp')), (15, 5))

    def test_it_is_the_same_each_time_and_all_is_all(self):
        self.assertEqual(self.chosen(20), self.chosen(20))
        self.assertEqual(len(self.chosen(None)), 80)
        self.assertEqual(len(self.chosen(1000)), 80)

    def test_a_change_of_one_file_leaves_the_choice_in_another(self):
        changed = dict(self.SOURCES, **{'short.cpp': 'z = 3;\n' * 20})
        long = [mutant for mutant in self.chosen(20) if mutant.file == 'long.cpp']
        self.assertEqual(long, [mutant for mutant in self.chosen(20, changed) if mutant.file == 'long.cpp'])


if __name__ == '__main__':
    unittest.main()
