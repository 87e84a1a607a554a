//! SOCKS5: RFC 1928, with the login of RFC 1929. Reads not a byte more than the proxy's own.

use std::net::IpAddr;

use super::{Login, Refusal};
use crate::transport::stream::Stream;
use crate::transport::vigil::Vigil;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const WITH_LOGIN: u8 = 2;
const NO_METHOD: u8 = 0xff;
const LOGIN_VERSION: u8 = 1;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

pub(super) fn open(
    stream: &mut Stream,
    (host, port): (&str, u16),
    login: Option<&Login>,
    vigil: &mut Vigil,
) -> Result<(), Refusal> {
    let greeting: &[u8] = match login {
        Some(_) => &[VERSION, 2, NO_LOGIN, WITH_LOGIN],
        None => &[VERSION, 1, NO_LOGIN],
    };
    stream.send(greeting, &mut 0, vigil)?;
    let [version, method] = read(stream, vigil)?;
    if version != VERSION {
        return said("does not speak SOCKS5");
    }
    match (method, login) {
        (NO_LOGIN, _) => {}
        (WITH_LOGIN, Some(login)) => log_in(stream, login, vigil)?,
        (NO_METHOD, None) => return said("wants a login"),
        (NO_METHOD, Some(_)) => return said("takes no login by name and password"),
        _ => return said("chose a way to log in that was not offered"),
    }
    stream.send(&request(host, port)?, &mut 0, vigil)?;
    let [version, reply, _, kind] = read(stream, vigil)?;
    if version != VERSION {
        return said("does not speak SOCKS5");
    }
    if reply != 0 {
        return Err(Refusal::Said(format!("refused: {}", reason(reply))));
    }
    // The address that it connected from is of no use here, but its length must be known.
    match kind {
        IPV4 => read::<6>(stream, vigil).map(drop),
        IPV6 => read::<18>(stream, vigil).map(drop),
        NAME => {
            let [length] = read(stream, vigil)?;
            read_all(stream, &mut vec![0; usize::from(length) + 2], vigil)
        }
        _ => said("answered with an address of an unknown kind"),
    }
}

fn log_in(stream: &mut Stream, login: &Login, vigil: &mut Vigil) -> Result<(), Refusal> {
    let mut out = vec![LOGIN_VERSION];
    for word in [&login.user, &login.password] {
        out.push(length(word)?);
        out.extend_from_slice(word);
    }
    stream.send(&out, &mut 0, vigil)?;
    match read(stream, vigil)? {
        [LOGIN_VERSION, 0] => Ok(()),
        [LOGIN_VERSION, _] => said("refused the login"),
        _ => said("does not speak SOCKS5"),
    }
}

fn request(host: &str, port: u16) -> Result<Vec<u8>, Refusal> {
    let mut out = vec![VERSION, CONNECT, 0];
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            out.push(IPV4);
            out.extend_from_slice(&address.octets());
        }
        Ok(IpAddr::V6(address)) => {
            out.push(IPV6);
            out.extend_from_slice(&address.octets());
        }
        Err(_) => {
            out.extend_from_slice(&[NAME, length(host.as_bytes())?]);
            out.extend_from_slice(host.as_bytes());
        }
    }
    out.extend_from_slice(&port.to_be_bytes());
    Ok(out)
}

fn length(word: &[u8]) -> Result<u8, Refusal> {
    u8::try_from(word.len())
        .map_err(|_| Refusal::Said("can not be told a name of more than 255 bytes".to_owned()))
}

fn read<const N: usize>(stream: &mut Stream, vigil: &mut Vigil) -> Result<[u8; N], Refusal> {
    let mut all = [0; N];
    read_all(stream, &mut all, vigil)?;
    Ok(all)
}

fn read_all(stream: &mut Stream, mut rest: &mut [u8], vigil: &mut Vigil) -> Result<(), Refusal> {
    while !rest.is_empty() {
        match stream.recv(rest, vigil)? {
            0 => return said("closed the connection"),
            n => rest = &mut rest[n..],
        }
    }
    Ok(())
}

fn said<T>(text: &str) -> Result<T, Refusal> {
    Err(Refusal::Said(text.to_owned()))
}

fn reason(reply: u8) -> String {
    match reply {
        1 => "general failure",
        2 => "its rules do not allow it",
        3 => "the network is unreachable",
        4 => "the host is unreachable",
        5 => "the server refused the connection",
        6 => "the time to live expired",
        7 => "it does not know CONNECT",
        8 => "it does not know this kind of address",
        other => return format!("reply {other}"),
    }
    .to_owned()
}
