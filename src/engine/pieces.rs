//! Bytes that come piece by piece, read item by item: state larger than what is held of it at once.

use crate::engine::state::LoadError;
use crate::event::codec::Encode;
use std::fmt;

/// Appends the next bytes; `false` where there are none. An error is for people.
type More = dyn FnMut(&mut Vec<u8>) -> Result<bool, String> + Send;

/// Bytes on their way in.
pub struct Pieces {
    more: Box<More>,
    buffer: Vec<u8>,
    /// How much of the buffer was read.
    at: usize,
    /// Bytes read in all.
    read: u64,
}

impl Pieces {
    /// Bytes as `more` brings them: it appends the next ones, or says that there are none.
    pub fn new(more: impl FnMut(&mut Vec<u8>) -> Result<bool, String> + Send + 'static) -> Pieces {
        Pieces { more: Box::new(more), buffer: Vec::new(), at: 0, read: 0 }
    }

    /// Bytes that are all here.
    pub fn of(bytes: impl Into<Vec<u8>>) -> Pieces {
        Pieces { buffer: bytes.into(), ..Pieces::new(|_| Ok(false)) }
    }

    /// The next item.
    ///
    /// # Errors
    /// If the bytes are not of such an item, or do not come.
    pub fn get<T: Encode>(&mut self) -> Result<T, LoadError> {
        self.get_within(u64::MAX)
    }

    /// The next item, which lies within so many bytes.
    ///
    /// # Errors
    /// If the bytes are not of such an item, or do not come.
    pub fn get_within<T: Encode>(&mut self, most: u64) -> Result<T, LoadError> {
        loop {
            let here = &self.buffer[self.at..];
            let shown = usize::try_from(most).map_or(here.len(), |most| most.min(here.len()));
            let mut rest = &here[..shown];
            // An item is not told apart from a part of one: more of it is read as long as there is
            // more.
            match T::decode(&mut rest) {
                Ok(item) => {
                    self.pass(shown - rest.len());
                    return Ok(item);
                }
                Err(error) if shown as u64 == most || !self.fill()? => return Err(error.into()),
                Err(_) => {}
            }
        }
    }

    /// The next bytes as they are.
    ///
    /// # Errors
    /// If there are fewer, or they do not come.
    pub fn take(&mut self, count: u64) -> Result<Vec<u8>, LoadError> {
        let mut taken = Vec::new();
        self.each(count, |bytes| taken.extend_from_slice(bytes))?;
        Ok(taken)
    }

    /// Passes over the next bytes.
    ///
    /// # Errors
    /// If there are fewer, or they do not come.
    pub fn skip(&mut self, count: u64) -> Result<(), LoadError> {
        self.each(count, |_| ())
    }

    fn each(&mut self, count: u64, mut take: impl FnMut(&[u8])) -> Result<(), LoadError> {
        let mut left = count;
        while left > 0 {
            if self.at == self.buffer.len() && !self.fill()? {
                return Err(LoadError::Malformed);
            }
            let here = &self.buffer[self.at..];
            let taken = usize::try_from(left).map_or(here.len(), |left| left.min(here.len()));
            take(&here[..taken]);
            self.pass(taken);
            left -= taken as u64;
        }
        Ok(())
    }

    /// The next byte, which stays.
    ///
    /// # Errors
    /// If the bytes do not come.
    pub fn peek(&mut self) -> Result<Option<u8>, LoadError> {
        if self.at == self.buffer.len() {
            self.fill()?;
        }
        Ok(self.buffer.get(self.at).copied())
    }

    /// Bytes read until now.
    pub fn position(&self) -> u64 {
        self.read
    }

    fn pass(&mut self, count: usize) {
        self.at += count;
        self.read += count as u64;
    }

    /// Brings at least as much as there is, so that an item read again and again as it grows costs
    /// no more than twice its length; `false` where nothing more comes.
    fn fill(&mut self) -> Result<bool, LoadError> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let before = self.buffer.len();
        let mut came = false;
        while self.buffer.len() <= 2 * before || !came {
            if !(self.more)(&mut self.buffer).map_err(LoadError::Other)? {
                break;
            }
            came = self.buffer.len() > before;
        }
        Ok(came)
    }
}

impl fmt::Debug for Pieces {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Pieces({} bytes read)", self.read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Text;

    /// The bytes in pieces of this length.
    fn cut(bytes: &[u8], length: usize) -> Pieces {
        let mut pieces: Vec<Vec<u8>> = bytes.chunks(length).rev().map(<[u8]>::to_vec).collect();
        Pieces::new(move |into| {
            let piece = pieces.pop();
            piece.iter().for_each(|piece| into.extend_from_slice(piece));
            Ok(piece.is_some())
        })
    }

    #[test]
    fn items_are_read_however_their_bytes_are_cut() {
        let (numbers, text) = ((0..1000).collect::<Vec<u64>>(), Text::from("a long word"));
        let mut bytes = Vec::new();
        numbers.encode(&mut bytes);
        text.encode(&mut bytes);
        bytes.extend([1, 2, 3, 4]);
        for length in [1, 2, 3, 7, 1000, 100_000] {
            let mut pieces = cut(&bytes, length);
            assert_eq!(pieces.get::<Vec<u64>>(), Ok(numbers.clone()));
            assert_eq!(pieces.get::<Text>(), Ok(text.clone()));
            assert_eq!(pieces.peek(), Ok(Some(1)));
            pieces.skip(1).unwrap();
            assert_eq!(pieces.take(2), Ok(vec![2, 3]));
            assert_eq!(pieces.position(), bytes.len() as u64 - 1);
            assert_eq!(pieces.get::<u16>(), Err(LoadError::Malformed));
            assert_eq!((pieces.get::<u8>(), pieces.peek()), (Ok(4), Ok(None)));
            assert_eq!(pieces.take(1), Err(LoadError::Malformed));
        }
    }

    #[test]
    fn an_item_is_not_read_beyond_its_bounds() {
        let mut bytes = Vec::new();
        7u64.encode(&mut bytes);
        for length in [1, 8] {
            assert_eq!(cut(&bytes, length).get_within::<u64>(7), Err(LoadError::Malformed));
            assert_eq!(cut(&bytes, length).get_within::<u64>(8), Ok(7));
        }
    }

    #[test]
    fn why_bytes_do_not_come_is_told() {
        let mut pieces = Pieces::new(|_| Err("the disk is gone".to_owned()));
        let gone = LoadError::Other("the disk is gone".to_owned());
        assert_eq!(pieces.get::<u8>(), Err(gone.clone()));
        assert_eq!((pieces.peek(), pieces.skip(1)), (Err(gone.clone()), Err(gone)));
    }
}
