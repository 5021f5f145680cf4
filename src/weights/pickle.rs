//! Reads the pickles in which PyTorch keeps the structure of a checkpoint, as data: nothing is ever run.
//!
//! The protocols 2 to 5, and of their opcodes those that dictionaries of tensors, numbers and plain records need. A
//! class or function that a pickle names stays a name; those that no checkpoint needs are refused by name.

use std::collections::HashMap;
use std::rc::Rc;

use super::harmless::HARMLESS;

/// A value; what can hold other values lies in [`Pickle`] and is referred to.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Text(Rc<str>),
    /// Bytes, of which nothing is kept.
    Bytes,
    /// The name of a class or function.
    Global(Rc<str>),
    /// An object, by number.
    Object(usize),
}

/// What holds other values.
#[derive(Clone, Debug, PartialEq)]
pub enum Object {
    /// A tuple.
    Tuple(Vec<Value>),
    /// A list.
    List(Vec<Value>),
    /// A dictionary, in order.
    Dict(Vec<(Value, Value)>),
    /// What a class or function would have made of arguments.
    Made {
        /// The class or function.
        by: Rc<str>,
        /// Its arguments.
        arguments: Value,
    },
    /// Something kept outside the pickle.
    Outside(Value),
}

/// A value with the objects that it refers to.
#[derive(Clone, Debug)]
pub struct Pickle {
    objects: Vec<Object>,
    /// The value.
    pub root: Value,
}

impl Pickle {
    /// Every object in it.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The object that `value` is, if it is one.
    pub fn object(&self, value: &Value) -> Option<&Object> {
        match value {
            Value::Object(number) => self.objects.get(*number),
            _ => None,
        }
    }

    /// Entries of the dictionary `value`.
    pub fn dict(&self, value: &Value) -> Option<&[(Value, Value)]> {
        match self.object(value)? {
            Object::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// Elements of the tuple or list `value`.
    pub fn sequence(&self, value: &Value) -> Option<&[Value]> {
        match self.object(value)? {
            Object::Tuple(elements) | Object::List(elements) => Some(elements),
            _ => None,
        }
    }

    /// What stands under the text `key` in the dictionary `value`.
    pub fn get(&self, value: &Value, key: &str) -> Option<&Value> {
        let is_key = |entry: &&(Value, Value)| matches!(&entry.0, Value::Text(text) if &**text == key);
        self.dict(value)?.iter().find(is_key).map(|entry| &entry.1)
    }
}

/// Reads one pickle from the start of `bytes`; the pickle, and how many bytes it takes.
///
/// # Errors
/// Says at which byte what was found: an opcode or a name that checkpoints do not need, or an end too early.
pub fn read(bytes: &[u8]) -> Result<(Pickle, usize), String> {
    let mut reader =
        Reader { bytes, at: 0, stack: Vec::new(), marks: Vec::new(), memo: HashMap::new(), objects: Vec::new() };
    let root = reader.run()?;
    Ok((Pickle { objects: reader.objects, root }, reader.at))
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value>,
    /// Heights of the stack at the marks that are open.
    marks: Vec<usize>,
    memo: HashMap<u32, Value>,
    objects: Vec<Object>,
}

impl<'a> Reader<'a> {
    fn fail<T>(&self, what: impl std::fmt::Display) -> Result<T, String> {
        Err(format!("byte {} of the pickle: {what}", self.at))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.get(..count) {
            Some(taken) => {
                self.at += count;
                Ok(taken)
            }
            None => self.fail(format_args!("it ends {} bytes too early", count - rest.len())),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    fn length(&mut self) -> Result<usize, String> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    /// As many bytes as the next eight tell.
    fn long_length(&mut self) -> Result<usize, String> {
        let length = u64::from_le_bytes(self.array()?);
        usize::try_from(length).or_else(|_| self.fail(format_args!("{length} bytes of text")))
    }

    fn text(&mut self, length: usize) -> Result<Rc<str>, String> {
        match std::str::from_utf8(self.take(length)?) {
            Ok(text) => Ok(text.into()),
            Err(error) => self.fail(error),
        }
    }

    fn line(&mut self) -> Result<Rc<str>, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        match rest.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                let text = self.text(length)?;
                self.at += 1;
                Ok(text)
            }
            None => self.fail("a line without end"),
        }
    }

    fn pop(&mut self) -> Result<Value, String> {
        // What lies below an open mark belongs to whoever set it.
        if self.marks.last().is_some_and(|mark| self.stack.len() <= *mark) {
            return self.fail("nothing to take before the mark");
        }
        match self.stack.pop() {
            Some(value) => Ok(value),
            None => self.fail("nothing to take"),
        }
    }

    /// What was put down since the last mark.
    fn pop_mark(&mut self) -> Result<Vec<Value>, String> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.fail("no mark"),
        }
    }

    fn put(&mut self, object: Object) {
        self.stack.push(Value::Object(self.objects.len()));
        self.objects.push(object);
    }

    /// The object on top of the stack, to be added to.
    fn top(&mut self) -> Result<&mut Object, String> {
        let number = match self.stack.last() {
            Some(Value::Object(number)) => *number,
            _ => return self.fail("nothing to add to"),
        };
        Ok(&mut self.objects[number])
    }

    fn add_entries(&mut self, values: Vec<Value>) -> Result<(), String> {
        let pairs = values.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        match self.top()? {
            Object::Dict(entries) => entries.extend(pairs),
            // An ordered dictionary that a class made.
            made @ Object::Made { .. } => *made = Object::Dict(pairs.collect()),
            _ => return self.fail("entries for what is no dictionary"),
        }
        Ok(())
    }

    fn add_elements(&mut self, values: Vec<Value>) -> Result<(), String> {
        match self.top()? {
            Object::List(elements) => elements.extend(values),
            // A set that a class made, say: nobody needs its elements.
            Object::Made { .. } => {}
            _ => return self.fail("elements for what is no list"),
        }
        Ok(())
    }

    fn global(&mut self, name: String) -> Result<(), String> {
        if !HARMLESS.contains(&name.as_str()) {
            return self.fail(format_args!(
                "it names {name}, which no checkpoint of weights needs; it is refused: in PyTorch, save \
                 model.state_dict() alone"
            ));
        }
        self.stack.push(Value::Global(name.into()));
        Ok(())
    }

    fn make(&mut self) -> Result<(), String> {
        let arguments = self.pop()?;
        let Value::Global(by) = self.pop()? else { return self.fail("a call of what is no name") };
        let empty = Pickle::is_empty_tuple(&self.objects, &arguments);
        if matches!(&*by, "collections.OrderedDict" | "collections.defaultdict") {
            if !empty && &*by == "collections.OrderedDict" {
                return self.fail("an OrderedDict with arguments");
            }
            self.put(Object::Dict(Vec::new()));
        } else {
            self.put(Object::Made { by, arguments });
        }
        Ok(())
    }

    fn remember(&mut self, number: u32) -> Result<(), String> {
        let Some(value) = self.stack.last().cloned() else { return self.fail("nothing to remember") };
        self.memo.insert(number, value);
        Ok(())
    }

    fn recall(&mut self, number: u32) -> Result<(), String> {
        match self.memo.get(&number) {
            Some(value) => self.stack.push(value.clone()),
            None => return self.fail(format_args!("nothing is remembered as {number}")),
        }
        Ok(())
    }

    fn run(&mut self) -> Result<Value, String> {
        loop {
            let opcode = self.byte()?;
            match opcode {
                0x80 => match self.byte()? {
                    0..=5 => {}
                    version => return self.fail(format_args!("protocol {version}; expected 5 at most")),
                },
                // A frame only tells how much to read at once.
                0x95 => _ = self.take(8)?,
                b'.' => return self.pop(),
                b'(' => self.marks.push(self.stack.len()),
                b'0' => _ = self.pop()?,
                b'1' => _ = self.pop_mark()?,
                b'N' => self.stack.push(Value::None),
                0x88 | 0x89 => self.stack.push(Value::Bool(opcode == 0x88)),
                b'K' => {
                    let number = self.byte()?;
                    self.stack.push(Value::Int(number.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(number.into()));
                }
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.stack.push(Value::Int(number.into()));
                }
                0x8a => {
                    let length = self.byte()? as usize;
                    let number = self.long(length)?;
                    self.stack.push(Value::Int(number));
                }
                b'G' => {
                    let number = f64::from_be_bytes(self.array()?);
                    self.stack.push(Value::Float(number));
                }
                b'X' => self.put_text(Reader::length)?,
                0x8c => self.put_text(|reader| reader.byte().map(usize::from))?,
                0x8d => self.put_text(Reader::long_length)?,
                b'T' => self.put_text(Reader::length)?,
                b'U' => self.put_text(|reader| reader.byte().map(usize::from))?,
                b'B' => self.skip_bytes(Reader::length)?,
                b'C' => self.skip_bytes(|reader| reader.byte().map(usize::from))?,
                0x8e => self.skip_bytes(Reader::long_length)?,
                b'}' => self.put(Object::Dict(Vec::new())),
                b']' | 0x8f => self.put(Object::List(Vec::new())),
                b')' => self.put(Object::Tuple(Vec::new())),
                b't' => {
                    let elements = self.pop_mark()?;
                    self.put(Object::Tuple(elements));
                }
                b'l' => {
                    let elements = self.pop_mark()?;
                    self.put(Object::List(elements));
                }
                b'd' => {
                    let values = self.pop_mark()?;
                    self.put(Object::Dict(Vec::new()));
                    self.add_entries(values)?;
                }
                0x85..=0x87 => {
                    let mut elements = Vec::new();
                    for _ in 0x84..opcode {
                        elements.insert(0, self.pop()?);
                    }
                    self.put(Object::Tuple(elements));
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.add_entries(vec![key, value])?;
                }
                b'u' => {
                    let values = self.pop_mark()?;
                    self.add_entries(values)?;
                }
                b'a' => {
                    let value = self.pop()?;
                    self.add_elements(vec![value])?;
                }
                b'e' | 0x90 => {
                    let values = self.pop_mark()?;
                    self.add_elements(values)?;
                }
                b'q' => {
                    let number = self.byte()?;
                    self.remember(number.into())?;
                }
                b'r' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.remember(number)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let number = self.byte()?;
                    self.recall(number.into())?;
                }
                b'j' => {
                    let number = u32::from_le_bytes(self.array()?);
                    self.recall(number)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(format!("{module}.{name}"))?;
                }
                0x93 => match (self.pop()?, self.pop()?) {
                    (Value::Text(name), Value::Text(module)) => self.global(format!("{module}.{name}"))?,
                    _ => return self.fail("a name that is no text"),
                },
                b'R' | 0x81 => self.make()?,
                // What an object would have been set to beside its arguments.
                b'b' => _ = self.pop()?,
                b'Q' => {
                    let id = self.pop()?;
                    self.put(Object::Outside(id));
                }
                other => {
                    self.at -= 1;
                    let shown = std::ascii::escape_default(other);
                    return self
                        .fail(format_args!("opcode '{shown}' (0x{other:02x}), which no checkpoint of weights needs"));
                }
            }
        }
    }

    fn put_text(&mut self, length: impl FnOnce(&mut Self) -> Result<usize, String>) -> Result<(), String> {
        let length = length(self)?;
        let text = self.text(length)?;
        self.stack.push(Value::Text(text));
        Ok(())
    }

    fn skip_bytes(&mut self, length: impl FnOnce(&mut Self) -> Result<usize, String>) -> Result<(), String> {
        let length = length(self)?;
        self.take(length)?;
        self.stack.push(Value::Bytes);
        Ok(())
    }

    /// An integer of `length` bytes, little-endian, in two's complement; eight at most, save those of a file's magic
    /// number, which come out as their low eight.
    fn long(&mut self, length: usize) -> Result<i64, String> {
        let bytes = self.take(length)?;
        let negative = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut whole = [if negative { 0xff } else { 0 }; 8];
        for (to, from) in whole.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(i64::from_le_bytes(whole))
    }
}

impl Pickle {
    fn is_empty_tuple(objects: &[Object], value: &Value) -> bool {
        matches!(value, Value::Object(number) if matches!(&objects[*number], Object::Tuple(elements) if elements.is_empty()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_of_plain_values() {
        // pickle.dumps({"a": [1, -2, 70000], "b": (True, None, 0.5)}, protocol=2)
        let bytes = b"\x80\x02}q\x00(X\x01\x00\x00\x00aq\x01]q\x02(K\x01J\xfe\xff\xff\xffJp\x11\x01\x00eX\x01\x00\x00\x00bq\x03\x88NG?\xe0\x00\x00\x00\x00\x00\x00\x87q\x04u.rest";
        let (pickle, length) = read(bytes).expect("a pickle");
        assert_eq!(length, bytes.len() - 4);
        let numbers = pickle.sequence(pickle.get(&pickle.root, "a").expect("a")).expect("a list");
        assert_eq!(numbers, [Value::Int(1), Value::Int(-2), Value::Int(70000)]);
        let tuple = pickle.sequence(pickle.get(&pickle.root, "b").expect("b")).expect("a tuple");
        assert_eq!(tuple, [Value::Bool(true), Value::None, Value::Float(0.5)]);
    }

    #[test]
    fn what_would_run_something_is_refused_by_name() {
        let error = read(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00lsqq\x85R.").expect_err("refused");
        assert!(
            error.contains("os.system") && error.contains("refused: in PyTorch, save model.state_dict()"),
            "{error}"
        );
        let error = read(b"\x80\x02(X\x02\x00\x00\x00osios\nsystem\n.").expect_err("refused");
        assert!(error.contains("opcode 'i'"), "{error}");
    }

    #[test]
    fn arrays_and_paths_beside_weights_are_carried_along() {
        // What pickle.dumps makes of a NumPy array of three doubles and a path of Python 3.13, protocol 2.
        let bytes = b"\x80\x02}(X\x01\x00\x00\x00acnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85c_codecs\nencode\nX\x01\x00\x00\x00bX\x06\x00\x00\x00latin1\x86R\x87R(K\x01K\x03\x85cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89C\x03abctbX\x01\x00\x00\x00bcpathlib._local\nPosixPath\nX\x01\x00\x00\x00/\x85RX\x01\x00\x00\x00cK\x07u.";
        let (pickle, _) = read(bytes).expect("a pickle");
        assert_eq!(pickle.get(&pickle.root, "c"), Some(&Value::Int(7)));
        assert!(pickle.get(&pickle.root, "a").is_some_and(|array| pickle.object(array).is_some()));
    }

    #[test]
    fn damage_is_an_error() {
        for bytes in [
            &b""[..],
            b"\x80\x02",
            b"\x80\x09.",
            b".",
            b"u.",
            b"(.",
            b"X\xff\xff\xff\xffa.",
            b"h\x05.",
            b"K\x01s.",
            b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa.",
            b"K\x01(\x85.",
            b"cos",
            b"}(K\x01e.",
            b"\x81.",
        ] {
            assert!(read(bytes).is_err(), "{bytes:?}");
        }
    }
}
