//! Bodies that run, bodies that do not, and bodies that never would end.

use crate::engine::context::Context;
use crate::engine::expressions::Frame;
use crate::engine::expressions::Operand;
use crate::engine::expressions::testing::column;
use crate::engine::script::check;
use crate::engine::script::kernel;
use crate::event::Column;
use crate::event::DataType;
use crate::event::DataType::Bool;
use crate::event::DataType::Double;
use crate::event::DataType::Int;
use crate::event::DataType::Long;
use crate::event::DataType::Object;
use crate::event::Value;
use crate::plan::expression::ScriptFunction;

/// What a body gives for one row of arguments, or the fault of the row.
fn call(body: &str, returns: DataType, arguments: &[Value]) -> Result<Value, String> {
    let (name, language) = ("f".to_owned(), "javascript".to_owned());
    let function = ScriptFunction { name, language, body: body.to_owned(), returns };
    let types = arguments.iter().map(|value| value.data_type().unwrap_or(DataType::Text));
    let columns: Vec<Column> =
        types.zip(arguments).map(|(ty, value)| column(ty, std::slice::from_ref(value))).collect();
    let operands = (0..columns.len()).map(|index| Operand::Column { part: 0, index }).collect();
    let mut kernel = kernel(&function, operands).map_err(|fault| fault.message)?;
    let mut context = Context::default();
    let result = kernel.evaluate(&Frame::new(&columns, &[0]), &mut context).value(0);
    match context.faults.first() {
        Some(fault) => Err(fault.message.clone()),
        None => Ok(result),
    }
}

/// What an expression gives as text.
fn text(expression: &str) -> String {
    let body = format!("return {expression};");
    match call(&body, DataType::Text, &[]) {
        Ok(Value::Text(text)) => text.to_string(),
        Ok(other) => format!("{other:?}"),
        Err(message) => message,
    }
}

#[test]
fn usual_bodies_run() {
    let two = [Value::Int(2), Value::from("x")];
    assert_eq!(call("return data[0] + data[1];", DataType::Text, &two), Ok("2x".into()));
    let body =
        "var str1 = data[0]; var str2 = data[1];\n var res = str1 + ':' + str2\n return res;";
    assert_eq!(call(body, DataType::Text, &two), Ok("2:x".into()));
    let body = "var sum = 0; for (var i = 0; i < data.length; i++) { sum += data[i]; } return sum;";
    let numbers = [Value::Int(1), Value::Double(2.5), Value::Long(3)];
    assert_eq!(call(body, Double, &numbers), Ok(Value::Double(6.5)));
    assert_eq!(call("total = data[0] * 2; return total", Int, &two), Ok(Value::Int(4)));
    let body = "function square(x) { return x * x; } return square(data[0]) + twice(1);
        function twice(x) { return 2 * x; }";
    assert_eq!(call(body, Int, &two), Ok(Value::Int(6)));
    let body = "if (data[1] === 'x') { return true; } else { return false; }";
    assert_eq!(call(body, Bool, &two), Ok(Value::Bool(true)));
    let body =
        "switch (data[1]) { case 'a': return 1; case 'x': case 'y': return 2; default: return 3 }";
    assert_eq!(call(body, Int, &two), Ok(Value::Int(2)));
}

#[test]
fn values_keep_their_exactness() {
    let large = [Value::Long(i64::MAX)];
    assert_eq!(call("return data[0];", Long, &large), Ok(Value::Long(i64::MAX)));
    assert_eq!(call("return data[0];", Double, &[Value::Float(0.1)]), Ok(Value::Double(0.1)));
    assert_eq!(call("return data[0];", DataType::Text, &[Value::Null]), Ok(Value::Null));
    assert_eq!(call("return data[0] == null;", Bool, &[Value::Null]), Ok(Value::Bool(true)));
    assert_eq!(call("", Int, &[]), Ok(Value::Null));
    assert_eq!(call("return '12';", Int, &[]), Ok(Value::Int(12)));
    assert_eq!(call("return 2.9;", Int, &[]), Ok(Value::Int(2)));
    assert!(call("return 'a';", Int, &[]).is_err());
    assert!(call("return [];", Int, &[]).is_err());
}

#[test]
fn expressions_mean_what_they_mean_in_javascript() {
    let cases = [
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("'a' + 1 + 2", "a12"),
        ("1 + 2 + 'a'", "3a"),
        ("'5' * '2'", "10"),
        ("2 ** 3 ** 2", "512"),
        ("-7 % 3", "-1"),
        ("7 / 0", "Infinity"),
        ("0.1 + 0.2", "0.30000000000000004"),
        ("null == undefined", "true"),
        ("null === undefined", "false"),
        ("'1' == 1", "true"),
        ("NaN == NaN", "false"),
        ("'b' > 'a' && 2 > 10", "false"),
        ("null ?? 'x'", "x"),
        ("0 || 'y'", "y"),
        ("true ? 1 : 2", "1"),
        ("typeof 1 + typeof 'a' + typeof null + typeof []", "numberstringobjectobject"),
        ("5 & 3 | 8", "9"),
        ("-1 >>> 28", "15"),
        ("1 << 31", "-2147483648"),
        ("~5", "-6"),
        ("!'' + ''", "true"),
        ("[1, [2, 3]].toString()", "1,2,3"),
        ("`a${1 + 1}b${'c'}`", "a2bc"),
        ("(function (x) { return x + 1; })(2)", "3"),
        ("((a, b) => a * b)(2, 4)", "8"),
        ("(1, 2)", "2"),
        ("void 0", "Null"),
        ("{}.x", "expected a value, found `{`"),
    ];
    for (expression, expected) in cases {
        if !expression.starts_with('{') {
            assert_eq!(text(expression), expected, "{expression}");
        }
    }
}

#[test]
fn texts_lists_and_numbers_have_their_functions() {
    let cases = [
        ("'abc'.length + 'abc'[1]", "3b"),
        ("'Abc'.toUpperCase() + 'Abc'.toLowerCase()", "ABCabc"),
        ("'abcdef'.substring(4, 1) + 'abcdef'.substr(-2) + 'abcdef'.slice(1, -1)", "bcdefbcde"),
        ("'a,b,c'.split(',').join('-')", "a-b-c"),
        ("'abc'.split('').reverse().join('')", "cba"),
        ("'abcabc'.indexOf('c') + 'abcabc'.lastIndexOf('c')", "7"),
        ("'aXbX'.replace('X', '-') + 'aXbX'.replace(/x/gi, '$&'.length)", "a-bXa2b2"),
        ("'abc'.charAt(1) + 'abc'.charCodeAt(1)", "b98"),
        ("'  a '.trim() + '5'.padStart(3, '0')", "a005"),
        ("/^[a-z]+$/.test('abc') + '' + 'a1b22'.match(/[0-9]+/g)", "true1,22"),
        ("'2024-02-03'.match(/(\\d+)-(\\d+)/)[2]", "02"),
        ("[3, 1, 2].sort().join() + [3, 1, 10].sort((a, b) => b - a)", "1,2,310,3,1"),
        ("[1, 2, 3].map(x => x * 2).filter(function (x) { return x > 2; })", "4,6"),
        ("[1, 2, 3].reduce((a, b) => a + b)", "6"),
        ("[1, 2, 3, 4].slice(1, 3).concat([9], 8)", "2,3,9,8"),
        ("[1, 2].includes(2) + '' + [1, 2].indexOf(3)", "true-1"),
        ("(5.678).toFixed(1) + (255).toString(16)", "5.7ff"),
        ("Math.max(1, 3, 2) + Math.floor(2.7) + Math.round(-0.5)", "5"),
        ("Math.PI > 3 && Math.sqrt(16) === 4", "true"),
        ("parseInt('12px') + parseFloat('1.5e1x')", "27"),
        ("isNaN('x') + '' + Number('') + String(null) + Boolean('')", "true0nullfalse"),
        ("JSON.stringify({ a: [1, 'x', null], 'b c': true })", r#"{"a":[1,"x",null],"b c":true}"#),
        ("JSON.parse('{\"a\": {\"b\": 5}}').a.b", "5"),
        ("Object.keys({ x: 1, y: 2 })", "x,y"),
        ("Array.isArray([]) + '' + ('x' in { x: 1 })", "truetrue"),
        ("new Array(3).length + new String('a')", "3a"),
    ];
    for (expression, expected) in cases {
        assert_eq!(text(expression), expected, "{expression}");
    }
}

#[test]
fn statements_run_as_in_javascript() {
    let bodies = [
        ("var s = ''; for (var k in { a: 1, b: 2 }) s += k; return s;", "ab"),
        ("let s = 0; for (const x of [1, 2, 3]) { if (x == 2) continue; s += x; } return s;", "4"),
        ("var i = 0; while (true) { if (++i > 4) break; } return i;", "5"),
        ("var i = 9; do { i--; } while (i > 3); return i;", "3"),
        (
            "var o = { n: 1 }; o.n += 4; o['m'] = o.n++; delete o.n; return JSON.stringify(o);",
            r#"{"m":5}"#,
        ),
        ("var l = []; l[2] = 1; l.push(2); return l.length;", "4"),
        ("var f = []; f.push(function () { return f.length; }); return f[0]();", "1"),
        ("try { throw 'bad'; } catch (e) { return e + '!'; } finally { var x = 1; }", "bad!"),
        ("try { null.x; } catch (e) { return e.message; }", "there is no `x` of null"),
        ("function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); } return fib(12);", "144"),
        ("function make(n) { return () => n++; } var a = make(5); a(); return a();", "6"),
        ("var a = 1, b; b = a = 3; return a + b;", "6"),
        ("for (var i = 0, n = 3; i < n; i++); return i", "3"),
        ("return [1,\n2]\n.length", "2"),
    ];
    for (body, expected) in bodies {
        let found = call(body, DataType::Text, &[]);
        assert_eq!(found, Ok(expected.into()), "{body}");
    }
}

#[test]
fn endless_and_greedy_bodies_end() {
    let bodies = [
        "while (true) {}",
        "for (;;) { try { while (true) {} } catch (e) {} }",
        "function f() { return f(); } return f();",
        "var s = 'x'; while (true) { s += s; }",
        "var l = []; while (true) { l.push(l); }",
        "return 'abc'.repeat(1e9);",
        "var l = []; l[1e9] = 1; return l;",
        "return new Array(4e9);",
        "return 'a'.padStart(1e9);",
        "var l = [1, 2, 3, 4, 5, 6, 7]; while (true) l.sort((a, b) => b - a);",
        "var a = []; a.push(a); return JSON.stringify(a);",
        "var s = 'a'.repeat(100000); var l = []; for (;;) l.push(s.split(''));",
    ];
    for body in bodies {
        let found = call(body, DataType::Text, &[]);
        assert!(found.is_err(), "{body}: {found:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused_with_its_place() {
    let refused = [
        ("return x;", Some(7), "there is no `x`"),
        ("return Dat();", Some(7), "there is no `Dat`"),
        ("return new Date();", Some(11), "`Date` in a function of a plan"),
        ("return Math.random();", Some(11), "`Math.random`"),
        ("return Math.flor(1);", Some(12), "there is no `flor`"),
        ("var 5 = 1;", Some(4), "expected a name, found `5`"),
        ("return 'abc", Some(7), "this text never ends"),
        ("if (1 { }", Some(6), "expected `)`, found `{`"),
        ("class A {}", Some(0), "`class` is not supported"),
        ("return a instanceof B;", Some(9), "`instanceof` is not supported"),
        ("let a = 1; let a = 2;", Some(15), "`a` is declared twice"),
        ("return /(?=a)/.test('');", Some(7), "cannot be read"),
        ("1 = 2;", Some(0), "this cannot be given a value"),
        ("return #;", Some(7), "`#` means nothing here"),
        ("a.b c", Some(4), "expected `;`, found `c`"),
    ];
    for (body, at, message) in refused {
        let fault = check("javascript", body).expect_err(body);
        assert!(fault.message.contains(message), "{body}: {}", fault.message);
        let near = |found: usize| at.is_some_and(|at: usize| found.abs_diff(at) <= 1);
        assert!(fault.at.is_some_and(near), "{body}: {:?}", fault.at);
    }
    assert!(check("scala", "1").expect_err("refused").not_supported);
    assert!(check("JavaScript", "return 1;").is_ok());
}

#[test]
fn deep_and_long_bodies_are_refused_in_time() {
    for body in [
        "(".repeat(100_000),
        "[".repeat(100_000),
        "{".repeat(100_000),
        "!".repeat(100_000),
        format!("return 1{};", "+1".repeat(100_000)),
        format!("return a{};", ".a".repeat(100_000)),
        "`${".repeat(100_000),
        "if(1)".repeat(100_000),
        "function f(){".repeat(100_000),
        "a=".repeat(100_000),
        "1?".repeat(100_000),
    ] {
        assert!(check("javascript", &body).is_err());
    }
    let calls = (0..60).fold("1".to_owned(), |inner, _| format!("f({inner})"));
    let body = format!("function f(x) {{ return x; }} return {calls};");
    assert_eq!(call(&body, Object, &[]).is_ok(), check("javascript", &body).is_ok());
}
