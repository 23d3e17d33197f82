//! The bodies of requests about accounts, read field by field so that the one at fault is named.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{optional, read_object, required};
use crate::error::Error;
use crate::types::{CreateApiTokenRequest, LoginRequest};

impl LoginRequest {
    /// Reads the body of `POST /v1/auth/login`: `{"email":"…","password":"…"}`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`](crate::error::Code::BadRequest) that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            email: Option<&'a RawValue>,
            #[serde(borrow)]
            password: Option<&'a RawValue>,
        }
        let fields: Fields<'_> = read_object(body)?;
        Ok(Self {
            email: required(fields.email, "email", "a string")?,
            password: required(fields.password, "password", "a string")?,
        })
    }
}

impl CreateApiTokenRequest {
    /// Reads the body of `POST /v1/api-tokens`:
    /// `{"name":"…","scopes":["chat:write"],"expires_in_days":90}`.
    ///
    /// # Errors
    ///
    /// [`Code::BadRequest`](crate::error::Code::BadRequest) that names the field.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            #[serde(borrow)]
            name: Option<&'a RawValue>,
            #[serde(borrow)]
            scopes: Option<&'a RawValue>,
            #[serde(borrow)]
            expires_in_days: Option<&'a RawValue>,
        }
        let fields: Fields<'_> = read_object(body)?;
        Ok(Self {
            name: required::<String>(fields.name, "name", "a string")?,
            scopes: required::<Vec<String>>(fields.scopes, "scopes", "an array of strings")?,
            expires_in_days: optional(fields.expires_in_days, "expires_in_days", "a whole number between 1 and 365")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_at_fault_is_named() {
        for (body, param) in [
            ("{}", "email"),
            (r#"{"email":7,"password":"p"}"#, "email"),
            (r#"{"email":"a@b"}"#, "password"),
            (r#"{"email":"a@b","password":["p"]}"#, "password"),
            (r#"{"email":"a@b","password":"p","password":"q"}"#, "password"),
        ] {
            assert_eq!(LoginRequest::parse(body.as_bytes()).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
        for (body, param) in [
            (r#"{"scopes":[]}"#, "name"),
            (r#"{"name":"n"}"#, "scopes"),
            (r#"{"name":"n","scopes":"chat:write"}"#, "scopes"),
            (r#"{"name":"n","scopes":[],"expires_in_days":"1"}"#, "expires_in_days"),
            (r#"{"name":"n","scopes":[],"expires_in_days":-1}"#, "expires_in_days"),
        ] {
            let error = CreateApiTokenRequest::parse(body.as_bytes()).unwrap_err();
            assert_eq!(error.param.as_deref(), Some(param), "{body}");
        }
    }

    #[test]
    fn what_is_right_is_read() {
        let login = LoginRequest::parse(br#"{"email":"a@b","password":"p","remember":true}"#).unwrap();
        assert!(login.email == "a@b" && login.password.is_equal_to("p"));
        let wanted =
            CreateApiTokenRequest::parse(br#"{"name":"n","scopes":["chat:write"],"expires_in_days":null}"#).unwrap();
        assert_eq!((wanted.name.as_str(), wanted.expires_in_days), ("n", None));
    }
}
